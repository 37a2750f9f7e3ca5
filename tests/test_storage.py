"""Files in a bucket that speaks S3: imports do with it what they do with a disk, and machines need not share one."""

import gzip
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from catalog.errors import FeedRefused
from catalog.imports.apply import apply
from catalog.imports.confirm import confirm
from catalog.imports.local import stage_locally
from catalog.imports.reading import chunks
from catalog.imports.receive import receive
from catalog.imports.retention import forget_old
from catalog.imports.work.files import is_storage_away
from catalog.models import Feed, ImportRun, Product, Status
from catalog.tests.factories import applied, counts, feed_of, item, items, person, planned, received
from catalog.tests.factories.buckets import s3_bucket, s3_server
from config import storage
from config.backup import make_backup, restore_backup
from config.storage import Bucket
from tests.machines import Machine, NotAllowed, machines
from tests.workers import arrives, running


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket(server: str, settings: Any) -> Iterator[Any]:
    """The only place for files."""
    options = {"bucket_name": "files", "endpoint_url": server, "region_name": "us-east-1"}
    options |= {"access_key": "id", "secret_key": "key"}
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "config.storage.Bucket", "OPTIONS": options},
    }
    settings.MEDIA_ROOT = "/nowhere"
    with s3_bucket(server, "files") as client:
        yield client


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "PIECE_BYTES", 4_000)
    monkeypatch.setattr(storage, "RANGE_BYTES", 3_000)


def keys(bucket: Any) -> list[str]:
    return [entry["Key"] for entry in bucket.list_objects_v2(Bucket="files").get("Contents", [])]


@pytest.mark.django_db
@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_a_big_feed_is_read_in_chunks_from_the_bucket(pack: Any, bucket: Any, feed: Feed) -> None:
    content = pack(feed_of(*items(300)))
    run = receive(ContentFile(content, "feed.xml"), feed=feed)
    assert keys(bucket) == [run.file.name]
    stage_locally(run)
    assert (run.status, run.in_chunks, counts(run)) == (Status.REVIEW, True, {"items": 300, "created": 300})
    confirm(run, plan_hash=run.plan_hash, by=person("alice", "confirm_importrun"))
    apply(run)
    assert Product.objects.count() == 300
    assert keys(bucket) == [run.file.name]  # the unpacked copy is gone
    with run.file.open() as stored:
        assert stored.read() == content


@pytest.mark.django_db
def test_any_part_of_a_file_is_what_was_stored(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "RANGE_BYTES", 1_000)
    content = random.Random(7).randbytes(10_000)  # noqa: S311 - not a secret
    name = default_storage.save("feeds/one", ContentFile(content))
    with default_storage.open(name) as stored:
        assert stored.size == 10_000
        for start, length in [(9_990, 100), (0, 3), (3, 2_500), (10_000, 5), (999, 2), (12_000, 1)]:
            stored.seek(start)
            assert stored.read(length) == content[start : start + length]
        stored.seek(-4, 2)
        assert stored.read() == content[-4:]
    assert default_storage.save(name, ContentFile(b"other")) != name
    assert default_storage.save("feeds/empty", ContentFile(b"")) == "feeds/empty"
    with default_storage.open("feeds/empty") as stored:
        assert stored.read() == b""
    with pytest.raises(ValueError, match="written by `save`"):
        default_storage.open(name, "wb")


@pytest.mark.django_db
def test_a_file_that_is_too_large_is_refused_and_leaves_nothing(bucket: Any, feed: Feed, settings: Any) -> None:
    settings.FEED_MAX_BYTES = 2_000
    file = ContentFile(feed_of(*items(300)), "feed.xml")
    with pytest.raises(FeedRefused, match="larger than 2,000 bytes"):
        receive(file, feed=feed)
    assert keys(bucket) == []


@pytest.mark.django_db
def test_a_file_that_is_replaced_while_it_is_read_is_not_mixed(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "RANGE_BYTES", 10)
    name = default_storage.save("feeds/one", ContentFile(b"a" * 100))
    with default_storage.open(name) as stored:
        assert stored.read(5) == b"aaaaa"
        bucket.put_object(Bucket="files", Key=name, Body=b"b" * 100)
        with pytest.raises(OSError, match="PreconditionFailed"):
            stored.read()


@pytest.mark.django_db
def test_a_missing_file_is_told_from_a_storage_that_is_away(bucket: Any, feed: Feed, monkeypatch: Any) -> None:
    applied(feed, item("0"))
    run = received(feed, feed_of(item("1")))
    waiting = received(feed, feed_of(item("2")))
    bucket.delete_object(Bucket="files", Key=run.file.name)
    stage_locally(run)
    assert (run.status, run.error_code) == (Status.FAILED, "feed.file_missing")

    def away(*_: Any, **__: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    with monkeypatch.context() as patch:
        patch.setattr("botocore.client.BaseClient._make_api_call", away)
        with pytest.raises(OSError, match="does not answer") as error:
            default_storage.open(str(waiting.file.name))
        assert is_storage_away(error.value)
    stage_locally(waiting)
    assert waiting.status == Status.REVIEW


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("code", "status", "is_away"), [("NoSuchBucket", 404, True), ("SlowDown", 503, True), ("QuotaExceeded", 507, False)]
)
def test_what_the_storage_answers_is_an_error_of_a_disk(
    code: str, status: int, is_away: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import ClientError

    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(OSError, match=code) as error, storage.errors_of_a_disk():
        raise ClientError(answer, "PutObject")
    assert is_storage_away(error.value) == is_away


@pytest.mark.django_db
def test_old_files_leave_the_bucket(bucket: Any, feed: Feed, settings: Any) -> None:
    settings.RETENTION_FILES_DAYS = 1
    run = planned(feed, item("1"))
    orphan = default_storage.save("feeds/2026/orphan", ContentFile(b"x"))
    assert default_storage.get_modified_time(orphan) > timezone.now() - timedelta(minutes=5)
    ImportRun.objects.filter(pk=run.pk).update(status=Status.DISCARDED, finished_at=timezone.now() - timedelta(days=3))
    forget_old()
    assert keys(bucket) == [orphan]  # a day later that goes, too


@pytest.mark.django_db(transaction=True)
def test_a_backup_has_the_files_of_the_bucket(bucket: Any, feed: Feed, tmp_path: Path) -> None:
    run = applied(feed, item("1"))
    make_backup(tmp_path / "backup", lambda _line: None)
    bucket.delete_object(Bucket="files", Key=run.file.name)
    restore_backup(tmp_path / "backup", lambda _line: None, replace=True)
    with run.file.open() as stored:
        assert stored.read() == feed_of(item("1"))


@pytest.mark.django_db(transaction=True)
def test_workers_need_no_common_disk(
    queue: str, bucket: Any, server: str, feed: Feed, settings: Any, tmp_path: Path
) -> None:
    """On two machines, where they can be made; else without a common disk only."""
    storage_of = {"FILES_BUCKET": "files", "FILES_ENDPOINT": server}
    storage_of |= {"FILES_ACCESS_KEY": "id", "FILES_SECRET_KEY": "key"}
    alice, same_network = person("alice", "add_importrun", "confirm_importrun"), ""
    with ExitStack() as stack:
        places = {"database": connection.settings_dict, "broker": settings.REDIS_URL, "storage": server}
        try:
            two: Sequence[Machine | None] = stack.enter_context(machines(2, **places))
        except NotAllowed as error:
            two, same_network = [None, None], str(error)
        for name, machine in zip(("one", "two"), two, strict=True):
            settings.MEDIA_ROOT = tmp_path / name  # which nobody makes
            log, more = tmp_path / f"{name}.log", {} if machine else storage_of
            worker = running(queue, settings, "-c", "1", "-n", f"{queue}{name}", log=log, machine=machine, **more)
            stack.enter_context(worker)
        runs = [
            receive(ContentFile(feed_of(*(item(f"{batch}-{n}") for n in range(200))), "feed.xml"), feed=feed, by=alice)
            for batch in "abcd"
        ]
        for run in runs:
            arrived = arrives(run, Status.REVIEW)
            confirm(arrived, plan_hash=arrived.plan_hash, by=alice)
            arrives(run, Status.APPLIED)
    assert Product.objects.count() == 800
    assert [(tmp_path / f"{name}.log").read_text().count("succeeded") > 0 for name in ("one", "two")] == [True, True]
    assert not (tmp_path / "one").exists()
    assert not (tmp_path / "two").exists()
    if same_network:
        pytest.skip(f"All of it held, but in one network, because {same_network}.")


def test_the_bucket_takes_no_ambient_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of somebody else")
    made = Bucket(bucket_name="files", access_key="id", secret_key="key")
    assert made.connection.meta.client._request_signer._credentials.token is None
