"""The shell's contract: what it prints, how it exits, and that it is the same import as everywhere."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Feed, ImportRun, Market, Product, Status
from catalog.tests.factories import add_product, edit
from samples import Changes, write_feed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]


@pytest.fixture
def feed_file(tmp_path: Path) -> Path:
    return write(tmp_path / "feed.xml", items=20)


def write(path: Path, items: int, **options: Any) -> Path:
    with path.open("wb") as out:
        write_feed(out, items=items, seed=7, **options)
    return path


def import_feed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    call_command("import_feed", *arguments, "--json")
    answer: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return answer


def test_an_import_is_applied_and_told_as_json(capsys: pytest.CaptureFixture[str], feed_file: Path) -> None:
    answer = import_feed(capsys, str(feed_file))
    assert set(answer) == {"id", "status", "counts", "issues", "holds", "error", "seconds", "metrics", "peak_rss_mb"}
    assert (answer["status"], answer["error"]) == ("applied", None)
    assert answer["counts"] == dict.fromkeys(ImportRun.COUNTS, 0) | {"items": 20, "created": 20}
    assert set(answer["seconds"]) == {"stage", "plan", "apply"}
    assert Product.objects.filter(feed__slug="main").count() == 20


def test_the_same_file_again_changes_nothing(capsys: pytest.CaptureFixture[str], feed_file: Path) -> None:
    import_feed(capsys, str(feed_file))
    assert import_feed(capsys, str(feed_file))["counts"]["unchanged"] == 20


def test_another_day_is_exactly_what_was_generated(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import_feed(capsys, str(write(tmp_path / "first.xml", items=100)))
    changes = Changes(from_seed=7, changed=10, added=3, removed=2)
    later = write(tmp_path / "later.xml", items=100, changes=changes)
    counts = import_feed(capsys, str(later), "--mode", "sync")["counts"]
    assert (counts["created"], counts["changed"], counts["unchanged"], counts["archived"]) == (3, 10, 88, 2)


def test_a_dry_run_plans_and_leaves_the_catalogue_as_it_was(
    capsys: pytest.CaptureFixture[str], feed_file: Path
) -> None:
    answer = import_feed(capsys, str(feed_file), "--dry-run")
    assert (answer["status"], answer["counts"]["created"]) == ("discarded", 20)
    assert not Product.objects.exists()
    run = ImportRun.objects.get()
    assert not run.staged.exists()
    assert not run.changes.exists()


def test_issues_are_listed_by_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    content = b"<rss><channel><item><id>1</id><title>A</title></item></channel></rss>"
    (tmp_path / "poor.xml").write_bytes(content)
    answer = import_feed(capsys, str(tmp_path / "poor.xml"))
    assert answer["counts"]["invalid"] == 1
    assert {"code": "price.missing", "severity": "error", "attribute": "price", "count": 1} in answer["issues"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b'<!DOCTYPE rss SYSTEM "file:///etc/passwd"><rss/>', "DOCTYPE"),
        (b"<rss><channel><item><id>1</id>", "cut off"),
    ],
)
def test_a_refused_file_exits_with_1_and_its_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "bad.xml").write_bytes(content)
    with pytest.raises(CommandError, match=sentence) as refused:
        call_command("import_feed", str(tmp_path / "bad.xml"), "--json")
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert refused.value.returncode == 1
    assert (answer["status"], answer["error"]) == ("failed", str(refused.value))
    assert not Product.objects.exists()


@pytest.mark.parametrize(
    "arguments",
    [["/no/such/file"], *([__file__, "--feed", slug] for slug in ("Not a slug!", "", "x" * 51))],
    ids=["no file", "no slug", "an empty slug", "a long slug"],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(CommandError) as wrong:
        call_command("import_feed", *arguments)
    assert wrong.value.returncode == 2
    assert not Feed.objects.exists()


def test_a_person_reads_one_sentence(capsys: pytest.CaptureFixture[str], feed_file: Path) -> None:
    call_command("import_feed", str(feed_file), "--feed", "outlet")
    assert capsys.readouterr().out.strip().endswith("applied: 20 items; 20 new.")
    assert Feed.objects.get(slug="outlet").products.count() == 20


def test_demo_data_is_safe_to_repeat(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("demo_data")
    product = Product.objects.order_by("market", "id")[0]
    edit(product.id, title="Edited by hand")
    capsys.readouterr()
    call_command("demo_data")
    english, arabic = capsys.readouterr().out.splitlines()
    assert english.startswith("Demo catalogue in the market “UAE, English” (ae-en): 0 new products, ")
    assert arabic.startswith("Demo catalogue in the market “Saudi Arabia, Arabic” (sa-ar): 0 new products, ")
    product.refresh_from_db()
    assert product.title == "Edited by hand"
    ids = [{*Product.objects.filter(market=market).values_list("id", flat=True)} for market in Market.objects.all()]
    assert ids[0] == ids[1]
    assert len(ids[0]) > 200


def test_demo_data_leaves_a_market_that_somebody_has_described() -> None:
    Market.objects.update(code="om-en", name="Oman")
    call_command("demo_data")
    assert [*Market.objects.values_list("code", flat=True)] == ["om-en", "sa-ar"]


def test_demo_data_can_keep_out_of_a_catalogue_that_has_products() -> None:
    add_product(id="1", title="Ours", price=1)
    call_command("demo_data", "--if-empty")
    assert Product.objects.count() == 1
    assert not ImportRun.objects.filter(status=Status.APPLIED).exists()
