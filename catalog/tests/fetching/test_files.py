"""Drop folders, SFTP, FTP and S3: the newest complete file, from real servers on this machine."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from django.urls import reverse
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from catalog.errors import NotAllowed, NotPossible
from catalog.fetching.credentials import encrypt, origin_of
from catalog.fetching.edit import keep_host_key
from catalog.fetching.probe import probe
from catalog.fetching.sources import places_of
from catalog.fetching.targets import Login
from catalog.models import Feed, FeedSource, ImportRun
from catalog.tests.factories import feed_of, items
from catalog.tests.factories.buckets import s3_bucket, s3_server
from catalog.tests.fetching.conftest import fetched_at_last, fetched_once
from catalog.tests.pages import browser, staff, text_of, tree

pytestmark = pytest.mark.django_db

FEED = feed_of(*items(40))
LONG_AGO = time.time() - 3600


def write(folder: Path, name: str, content: bytes = FEED, age: float = 3600) -> Path:
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def with_login(source: FeedSource, login: Login) -> FeedSource:
    source.credentials, source.login = encrypt(login, origin_of(*places_of(source))), login.kind
    source.save()
    return source


# --- a folder -------------------------------------------------------------------------------------------


@pytest.fixture
def drop(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drop folder. Files are as old as their time of writing says: this machine would tell the true one."""
    monkeypatch.setattr("catalog.fetching.folder._changed_at", lambda facts: facts.st_mtime)
    settings.FEED_DROP_ROOT = str(tmp_path / "drop")
    folder = tmp_path / "drop" / "noor"
    folder.mkdir(parents=True)
    return folder


def test_the_newest_complete_file_of_a_folder_is_fetched_once(
    feed: Feed, source_at: Callable[..., FeedSource], drop: Path
) -> None:
    source_at("folder:noor", pattern="feed-*.xml")
    write(drop, "feed-1.xml", feed_of(*items(1)), age=7200)
    write(drop, "feed-2.xml", age=3600)
    write(drop, "other.xml", b"<html>", age=100)
    write(drop, "feed-3.xml", b"<rss>half", age=5)
    rows = [fetched_once(feed) for _ in range(2)]
    assert [(row.outcome, row.file_name) for row in rows] == [("new", "feed-2.xml"), ("unchanged", "feed-2.xml")]
    assert ImportRun.objects.get().file_name == "feed-2.xml"


def test_a_file_that_is_still_written_waits_for_its_minute(
    feed: Feed, source_at: Callable[..., FeedSource], drop: Path
) -> None:
    source: Any = source_at("folder:noor")
    write(drop, "feed.xml", age=1)
    row = fetched_once(feed)
    assert (row.outcome, row.code) == ("waiting", "fetch.still_written")
    source.refresh_from_db()
    assert source.seen is not None
    assert source.seen[:2] == ["feed.xml", len(FEED)]


def test_a_server_whose_clock_is_ahead_is_believed_after_a_minute_of_ours(
    feed: Feed, source_at: Callable[..., FeedSource], drop: Path
) -> None:
    source: Any = source_at("folder:noor")
    path = write(drop, "feed.xml", age=-9000)
    assert fetched_at_last(feed).code == "fetch.still_written"
    source.refresh_from_db()
    assert source.seen is not None
    source.seen[3] -= 61
    source.save()
    assert fetched_once(feed).outcome == "new"
    assert path.exists()


@pytest.mark.parametrize("marker", ["feed.xml.done", "feed.done"])
def test_a_marker_says_that_a_file_is_complete(
    marker: str, feed: Feed, source_at: Callable[..., FeedSource], drop: Path
) -> None:
    source_at("folder:noor", marker=".done")
    write(drop, "feed.xml", age=1)
    assert fetched_at_last(feed).code == "fetch.no_marker"
    write(drop, marker, b"")
    assert fetched_once(feed).outcome == "new"


def test_a_folder_written_to_while_it_is_looked_at_gives_no_half_file(
    feed: Feed, source_at: Callable[..., FeedSource], drop: Path, storage: Path
) -> None:
    """A writer who keeps the old time on the file: only its size, before and after, tells."""
    source_at("folder:noor")
    path = write(drop, "feed.xml", FEED * 200)
    over = threading.Event()

    def keep_writing() -> None:
        with path.open("ab") as file:
            while not over.is_set():
                file.write(b"<item/>" * 100)
                file.flush()
                os.utime(path, (LONG_AGO, LONG_AGO))

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        row = fetched_at_last(feed)
    finally:
        over.set()
        writer.join()
    assert row.outcome == "failed"
    assert row.code in ("fetch.changed_meanwhile", "fetch.still_written")  # as the moment of the look had it
    assert not ImportRun.objects.exists()
    assert not [each for each in (storage / "feeds").rglob("*") if each.is_file()]


@pytest.mark.parametrize("path", ["..", "../..", "noor/../..", "link", "/etc"])
def test_no_path_leads_out_of_the_root(
    path: str, feed: Feed, source_at: Callable[..., FeedSource], drop: Path, tmp_path: Path
) -> None:
    (drop.parent / "link").symlink_to(tmp_path)
    write(tmp_path, "feed.xml")
    source_at(f"folder:{path}")
    row = fetched_at_last(feed)
    assert row.code in ("fetch.forbidden_folder", "fetch.no_folder")


def test_links_and_pipes_in_a_folder_are_left_out(
    feed: Feed, source_at: Callable[..., FeedSource], drop: Path, tmp_path: Path
) -> None:
    write(tmp_path, "secret.xml")
    (drop / "feed.xml").symlink_to(tmp_path / "secret.xml")
    os.mkfifo(drop / "pipe.xml")
    source_at("folder:noor")
    assert fetched_at_last(feed).code == "fetch.no_file"


def test_a_file_that_goes_away_or_may_not_be_read_is_said(
    feed: Feed, source_at: Callable[..., FeedSource], drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source_at("folder:noor")
    path = write(drop, "feed.xml")
    opened = os.open

    def swap(name: Any, *args: Any, **options: Any) -> int:
        if name == "feed.xml":
            path.unlink()
            if to_a_pipe:
                os.mkfifo(path)
        return opened(name, *args, **options)

    to_a_pipe = False
    monkeypatch.setattr("catalog.fetching.folder.os.open", swap)
    assert fetched_at_last(feed).sentence == "feed.xml cannot be read: No such file or directory."
    write(drop, "feed.xml")
    to_a_pipe = True
    assert fetched_at_last(feed).sentence == "feed.xml is not a plain file."


def test_a_folder_counts_when_a_file_was_put_there_too(
    feed: Feed, source_at: Callable[..., FeedSource], settings: Any, tmp_path: Path
) -> None:
    """A copy may keep an old time of writing while it is still written."""
    settings.FEED_DROP_ROOT = str(tmp_path)
    (tmp_path / "noor").mkdir()
    source_at("folder:noor")
    write(tmp_path / "noor", "feed.xml", age=3600)
    assert fetched_once(feed).code == "fetch.still_written"
    source_at("folder:another")
    assert "cannot be opened" in fetched_at_last(feed).sentence


def test_without_a_root_there_are_no_folders(feed: Feed, source_at: Callable[..., FeedSource], settings: Any) -> None:
    settings.FEED_DROP_ROOT = ""
    source_at("folder:noor")
    row = fetched_at_last(feed)
    assert (row.outcome, row.code) == ("refused", "fetch.no_drop_root")


# --- SFTP -----------------------------------------------------------------------------------------------


class _People(asyncssh.SSHServer):
    """anna logs in by her password or her key."""

    key: asyncssh.SSHKey | None = None
    tried: list[str] = []

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self.tried.append(password)
        return (username, password) == ("anna", "correct horse")

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self.key is not None and key == self.key.convert_to_public()


@contextmanager
def sftp_server(root: Path, host_key: asyncssh.SSHKey) -> Iterator[int]:
    ready: list[Any] = []
    begun, over = threading.Event(), threading.Event()

    async def serve() -> None:
        server = await asyncssh.create_server(
            _People,
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(root).encode()),
        )
        ready.append(server.sockets[0].getsockname()[1])
        begun.set()
        while not over.is_set():
            await asyncio.sleep(0.05)
        server.close()
        await server.wait_closed()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert begun.wait(20)
    try:
        yield ready[0]
    finally:
        over.set()
        thread.join(10)


@pytest.fixture
def host_key() -> asyncssh.SSHKey:
    _People.tried.clear()
    return asyncssh.generate_private_key("ssh-ed25519")


def pinned(key: asyncssh.SSHKey) -> str:
    return str(key.export_public_key("openssh").decode())


def test_a_file_comes_by_sftp_with_a_password(
    feed: Feed, source_at: Callable[..., FeedSource], tmp_path: Path, host_key: asyncssh.SSHKey
) -> None:
    root = tmp_path / "sftp"
    (root / "out").mkdir(parents=True)
    write(root / "out", "feed-1.xml")
    write(root / "out", "feed-2.xml", age=5)
    with sftp_server(root, host_key) as port:
        source = source_at(f"sftp://127.0.0.1:{port}/out/", pattern="feed-*.xml", host_key=pinned(host_key))
        with_login(source, Login("password", "anna", "correct horse"))
        rows = [fetched_once(feed) for _ in range(2)]
    assert [row.outcome for row in rows] == ["new", "unchanged"], rows[0].sentence


def test_a_file_comes_by_sftp_with_a_key(
    feed: Feed,
    source_at: Callable[..., FeedSource],
    tmp_path: Path,
    host_key: asyncssh.SSHKey,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    settings.FETCH_SLOW_SECONDS = 8  # to open a key takes a while on purpose
    root = tmp_path / "sftp"
    root.mkdir()
    write(root, "feed.xml")
    key = asyncssh.generate_private_key("ssh-ed25519")
    monkeypatch.setattr(_People, "key", key)
    text = key.export_private_key("openssh", passphrase="open sesame").decode()
    with sftp_server(root, host_key) as port:
        source = source_at(f"sftp://127.0.0.1:{port}/feed.xml", host_key=pinned(host_key))
        with_login(source, Login("key", "anna", text, "open sesame"))
        row = fetched_once(feed)
    assert row.outcome == "new", row.sentence


def test_a_server_with_another_key_gets_nothing(
    feed: Feed, source_at: Callable[..., FeedSource], tmp_path: Path, host_key: asyncssh.SSHKey
) -> None:
    with sftp_server(tmp_path, asyncssh.generate_private_key("ssh-ed25519")) as port:
        source = source_at(f"sftp://127.0.0.1:{port}/feed.xml", host_key=pinned(host_key))
        with_login(source, Login("password", "anna", "correct horse"))
        row = fetched_once(feed)
    assert (row.outcome, row.code) == ("failed", "fetch.host_key")
    assert _People.tried == []


def test_nobody_logs_in_before_a_person_has_confirmed_the_server_s_key(
    feed: Feed, source_at: Callable[..., FeedSource], tmp_path: Path, host_key: asyncssh.SSHKey
) -> None:
    write(tmp_path, "feed.xml")
    with sftp_server(tmp_path, host_key) as port:
        source = source_at(f"sftp://127.0.0.1:{port}/feed.xml")
        with_login(source, Login("password", "anna", "correct horse"))
        assert fetched_once(feed).code == "fetch.no_host_key"
        report = probe(source, by=None)
        assert (report.problem, report.items, _People.tried) == ("", None, [])
        assert "SHA256:" in report.fingerprint
        source.refresh_from_db()
        assert source.host_key == "", "a test stores nothing"
        keep_host_key(feed, report.new_key, by=None)
        source.refresh_from_db()
        again = probe(source, by=None)
    assert (again.problem, again.new_key, again.items, _People.tried) == ("", "", 40, ["correct horse"])
    assert again.fingerprint == report.fingerprint
    assert source.host_key.split()[:2] == pinned(host_key).split()[:2]


def test_the_page_shows_the_key_and_a_button_confirms_it(
    feed: Feed, source_at: Callable[..., FeedSource], tmp_path: Path, host_key: asyncssh.SSHKey
) -> None:
    write(tmp_path, "feed.xml")
    mona, bob = browser("mona"), browser("bob")
    test, keep = (reverse(f"admin:catalog_feed_source_{name}", args=[feed.pk]) for name in ("test", "keep_key"))
    with sftp_server(tmp_path, host_key) as port:
        with_login(source_at(f"sftp://127.0.0.1:{port}/feed.xml"), Login("password", "anna", "correct horse"))
        page = tree(mona.post(test))
        assert "Nobody has logged in yet." in text_of(page)
        assert host_key.get_fingerprint() in text_of(page)
        (shown,) = page.xpath("//input[@name='key']/@value")
        assert bob.post(keep, {"key": shown}).status_code == 403
        assert _People.tried == []
        assert "It would arrive" in text_of(tree(mona.post(keep, {"key": shown})))
    other = pinned(asyncssh.generate_private_key("ssh-ed25519"))
    assert "Forget that one first." in text_of(tree(mona.post(keep, {"key": other}, follow=True)))


def test_only_a_key_is_kept_and_no_second_one(
    feed: Feed, source_at: Callable[..., FeedSource], host_key: asyncssh.SSHKey
) -> None:
    source_at("sftp://127.0.0.1/feed.xml")
    with pytest.raises(NotPossible, match="not the key of a server"):
        keep_host_key(feed, "rubbish", by=None)
    keep_host_key(feed, pinned(host_key), by=None)
    keep_host_key(feed, pinned(host_key), by=None)
    with pytest.raises(NotPossible, match="Forget that one first"):
        keep_host_key(feed, pinned(asyncssh.generate_private_key("ssh-ed25519")), by=None)
    with pytest.raises(NotAllowed):
        keep_host_key(feed, pinned(host_key), by=staff("bob"))


@pytest.mark.parametrize(
    ("path", "password", "code"),
    [("feed.xml", "wrong", "login"), ("nothing.xml", "correct horse", "no_file")],
)
def test_what_goes_wrong_by_sftp_is_named(
    path: str,
    password: str,
    code: str,
    feed: Feed,
    source_at: Callable[..., FeedSource],
    tmp_path: Path,
    host_key: asyncssh.SSHKey,
) -> None:
    write(tmp_path, "feed.xml")
    with sftp_server(tmp_path, host_key) as port:
        source = source_at(f"sftp://127.0.0.1:{port}/{path}", host_key=pinned(host_key))
        with_login(source, Login("password", "anna", password))
        row = fetched_at_last(feed)
    assert (row.outcome, row.code) == ("failed", f"fetch.{code}")


# --- FTP ------------------------------------------------------------------------------------------------


@contextmanager
def ftp_server(root: Path, handler: type[Any] = FTPHandler, **attributes: Any) -> Iterator[int]:
    people = DummyAuthorizer()
    people.add_user("anna", "correct horse", str(root), perm="elr")
    kind = type("Handler", (handler,), {"authorizer": people, "banner": "ready", **attributes})
    server = FTPServer(("127.0.0.1", 0), kind)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            server.serve_forever(timeout=0.05, blocking=False, handle_exit=False)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.address[1]
    finally:
        over.set()
        thread.join(10)
        server.close_all()


@pytest.mark.parametrize("pattern", ["", "feed-*.xml"])
def test_a_file_comes_by_ftp(pattern: str, feed: Feed, source_at: Callable[..., FeedSource], tmp_path: Path) -> None:
    root = tmp_path / "ftp"
    root.mkdir()
    write(root, "feed-1.xml")
    write(root, "feed-2.xml", age=5)
    with ftp_server(root) as port:
        path = "" if pattern else "feed-1.xml"
        source = source_at(f"ftp://127.0.0.1:{port}/{path}", pattern=pattern)
        with_login(source, Login("password", "anna", "correct horse"))
        rows = [fetched_once(feed) for _ in range(2)]
    assert [row.outcome for row in rows] == ["new", "unchanged"], rows[0].sentence


@pytest.mark.parametrize(
    ("path", "password", "code"),
    [("feed.xml", "wrong", "login"), ("nothing.xml", "correct horse", "no_file")],
)
def test_what_goes_wrong_by_ftp_is_named(
    path: str, password: str, code: str, feed: Feed, source_at: Callable[..., FeedSource], tmp_path: Path
) -> None:
    write(tmp_path, "feed.xml")
    with ftp_server(tmp_path, auth_failed_timeout=0) as port:
        source = source_at(f"ftp://127.0.0.1:{port}/{path}")
        with_login(source, Login("password", "anna", password))
        row = fetched_at_last(feed)
    assert (row.outcome, row.code) == ("failed", f"fetch.{code}")


def test_ftp_data_never_comes_from_another_host(
    feed: Feed, source_at: Callable[..., FeedSource], tmp_path: Path
) -> None:
    """A server that names another machine for its data is not led there: the first connection's address counts."""
    write(tmp_path, "feed.xml")
    with ftp_server(tmp_path, masquerade_address="10.9.9.9") as port:
        source = source_at(f"ftp://127.0.0.1:{port}/feed.xml")
        with_login(source, Login("password", "anna", "correct horse"))
        assert fetched_once(feed).outcome == "new"


# --- S3 -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", name="s3_server")
def _s3_server() -> Iterator[str]:
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket(s3_server: str) -> Any:
    with s3_bucket(s3_server, "feeds") as client:
        yield client


def test_the_newest_object_comes_from_s3(
    feed: Feed, source_at: Callable[..., FeedSource], bucket: Any, s3_server: str
) -> None:
    bucket.put_object(Bucket="feeds", Key="noor/feed 1+ä.xml", Body=FEED)
    source = source_at("s3://feeds/noor/", pattern="*.xml", endpoint=s3_server)
    with_login(source, Login("password", "id", "key"))
    rows = [fetched_once(feed) for _ in range(2)]
    assert [row.outcome for row in rows] == ["new", "unchanged"], rows[0].sentence
    bucket.put_object(Bucket="feeds", Key="noor/feed 1+ä.xml", Body=feed_of(*items(3)))
    assert fetched_once(feed).outcome == "new"


def test_one_object_comes_from_s3_and_is_asked_for_by_its_etag(
    feed: Feed, source_at: Callable[..., FeedSource], bucket: Any, s3_server: str
) -> None:
    bucket.put_object(Bucket="feeds", Key="feed.xml", Body=FEED)
    source = source_at("s3://feeds/feed.xml", endpoint=s3_server)
    with_login(source, Login("password", "id", "key"))
    assert [fetched_once(feed).outcome for _ in range(2)] == ["new", "unchanged"]


@pytest.mark.parametrize(
    ("address", "code"), [("s3://feeds/nothing.xml", "http_404"), ("s3://other/feed.xml", "no_bucket")]
)
def test_what_goes_wrong_with_s3_is_named(
    address: str, code: str, feed: Feed, source_at: Callable[..., FeedSource], bucket: Any, s3_server: str
) -> None:
    source = source_at(address, endpoint=s3_server)
    with_login(source, Login("password", "id", "key"))
    row = fetched_at_last(feed)
    assert (row.outcome, row.code) == ("failed", f"fetch.{code}"), row.sentence


def test_a_forbidden_endpoint_is_refused(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    source_at("s3://feeds/feed.xml", endpoint="http://169.254.169.254")
    row = fetched_at_last(feed)
    assert (row.outcome, row.code) == ("refused", "fetch.forbidden_address")
