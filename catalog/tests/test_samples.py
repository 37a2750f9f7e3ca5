"""Sample feeds: the same bytes everywhere, believable, exactly as different as asked, and cheap at any size."""

import gc
import hashlib
import io
import re
import tracemalloc
from collections import Counter
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command

from catalog.feeds.cleaning.check import Rules, check_item
from catalog.feeds.issues import BY_CODE, Severity
from catalog.feeds.reading.items import read_items
from catalog.feeds.scripts import script_of_text
from catalog.imports.planning.between_items import BETWEEN_ITEMS
from samples import MAX_ITEMS, Changes, iter_feed, iter_items, write_feed
from samples.defects import DEFECTS
from samples.departments import DEPARTMENTS, ONE_SIZE
from samples.draws import Dice, Shuffle
from samples.markets import _NOUNS, sample_market

G = "{http://base.google.com/ns/1.0}"
A_LATER_DAY = Changes(from_seed=7, changed=10, added=5, removed=5)


def feed(items: int = 300, seed: int = 7, profile: str = "clean", changes: Changes | None = None) -> bytes:
    out = io.BytesIO()
    write_feed(out, items=items, seed=seed, profile=profile, changes=changes)
    return out.getvalue()


def parsed(xml: bytes) -> list[ElementTree.Element]:
    return ElementTree.fromstring(xml).findall("channel/item")  # noqa: S314 - our own bytes


def values(xml: bytes, name: str) -> list[str]:
    """The texts of one element in the order of the feed; items without it are skipped."""
    return [text.decode() for text in re.findall(rb"<%b>([^<]*)</%b>" % (name.encode(), name.encode()), xml)]


def by_id(xml: bytes) -> dict[str, bytes]:
    return {values(item, "g:id")[0]: item for item in re.findall(rb"<item>.*?</item>", xml, re.DOTALL)}


@cache
def codes(xml: bytes) -> Counter[str]:
    """How many items an import would report each issue for."""
    found = (check_item(raw, Rules()).issues for raw in read_items(io.BytesIO(xml)))
    return Counter(code for issues in found for code in {issue.code for issue in issues})


# --- The same everywhere ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "profile", "changes", "digest"),
    [
        (7, "clean", None, "35aa0519e0911968"),
        (7, "typical", None, "77418c6e613d8958"),
        (7, "bad", None, "3b811796bb73c149"),
        (8, "clean", A_LATER_DAY, "5575f8be2293a024"),
    ],
)
def test_the_same_arguments_give_the_same_bytes_on_every_machine(
    seed: int, profile: str, changes: Changes | None, digest: str
) -> None:
    assert hashlib.sha256(feed(300, seed, profile, changes)).hexdigest()[:16] == digest


@pytest.mark.parametrize("profile", ["clean", "bad"])
def test_an_item_does_not_depend_on_how_long_the_feed_is(profile: str) -> None:
    assert list(iter_items(items=500, seed=3, profile=profile))[:100] == list(
        iter_items(items=100, seed=3, profile=profile)
    )


def test_another_seed_is_another_catalogue() -> None:
    assert not by_id(feed(seed=1)).keys() & by_id(feed(seed=2)).keys()


# --- Believable ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["clean", "typical", "bad"])
def test_every_profile_is_well_formed(profile: str) -> None:
    assert len(parsed(feed(1000, profile=profile))) == 1000


def test_an_item_has_the_elements_of_a_rich_feed() -> None:
    assert all(44 <= len(item) <= 58 for item in parsed(feed(1000)))


def test_an_item_has_the_size_of_a_rich_feeds_item() -> None:
    sizes = sorted(len(item) for item in iter_items(items=1000, seed=7))
    assert 2400 < sizes[500] < 3800


def test_a_title_has_the_length_of_a_product_name() -> None:
    assert all(25 <= len(item.findtext("title") or "") <= 70 for item in parsed(feed(1000)))


def test_special_characters_survive() -> None:
    brands = {item.findtext(f"{G}brand") for item in parsed(feed(2000))}
    assert {"Noor & Sable", "L'Orangerie Blanche", "Aurélien Marchetti"} <= brands


def test_a_clean_feed_gives_an_import_no_error_and_no_warning() -> None:
    assert all(BY_CODE[code].severity is Severity.NOTICE for code in codes(feed(2000)))


def test_ids_and_gtins_are_never_given_twice() -> None:
    xml = feed(10_000)
    for name in ("g:id", "g:gtin"):
        found = values(xml, name)
        assert len(set(found)) == len(found)


def test_gtins_have_a_right_check_digit() -> None:
    gtins = values(feed(1000), "g:gtin")
    assert 600 < len(gtins) < 800
    assert all(sum(int(digit) * (1, 3)[n % 2] for n, digit in enumerate(gtin)) % 10 == 0 for gtin in gtins)


def test_a_sale_price_is_lower_than_the_price() -> None:
    on_sale = [item for item in parsed(feed(2000)) if item.find(f"{G}sale_price") is not None]
    assert 0.25 < len(on_sale) / 2000 < 0.35
    assert all(amount(item, "sale_price") < amount(item, "price") for item in on_sale)
    assert all(amount(item, "sale_price") == amount(item, "finalprice") for item in on_sale)


def amount(item: ElementTree.Element, name: str) -> float:
    number, currency = (item.findtext(f"{G}{name}") or "").split(" ")
    assert currency == "AED"
    return float(number)


def test_the_sizes_of_a_style_share_everything_but_the_size() -> None:
    groups: dict[str | None, list[ElementTree.Element]] = {}
    for item in parsed(feed(1000)):
        groups.setdefault(item.findtext(f"{G}item_group_id"), []).append(item)
    assert max(len(sizes) for sizes in groups.values()) >= 5
    for sizes in groups.values():
        assert len({item.findtext(f"{G}size") for item in sizes}) == len(sizes)
        for name in ("title", "description", f"{G}price", f"{G}brand", f"{G}color", f"{G}image_link"):
            assert len({item.findtext(name) for item in sizes}) == 1


def test_descriptions_are_html_plain_or_arabic_and_never_empty() -> None:
    texts = [item.findtext("description") or "" for item in parsed(feed(2000))]
    assert all(150 <= len(text) <= 1200 for text in texts)
    assert 0.5 < sum(text.startswith("<p>") for text in texts) / 2000 < 0.7
    assert any(re.search("[\u0600-\u06ff]", text) for text in texts)


def test_every_kind_comes_in_as_many_sizes_as_its_department_asks_for() -> None:
    for department in DEPARTMENTS:
        assert all(len(kind.scale) >= max(department.sizes_per_style) for kind in department.kinds)
        assert department.sizes_per_style.count(1) == 0 or ONE_SIZE not in (kind.scale for kind in department.kinds)


# --- Another day -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        Changes(7, changed=10, added=1, removed=1),
        Changes(7, changed=0.1, added=0.1, removed=0.1),
        Changes(7, changed=0, added=0, removed=97),
        Changes(7, changed=40, added=100, removed=60),
        Changes(7),
    ],
)
def test_a_later_feed_differs_in_exactly_so_many_items(changes: Changes) -> None:
    items = 1000
    before, after = by_id(feed(items)), by_id(feed(items, seed=8, changes=changes))
    assert sum(before[key] != after[key] for key in before.keys() & after.keys()) == round(
        items * changes.changed / 100
    )
    assert len(after.keys() - before.keys()) == round(items * changes.added / 100)
    assert len(before.keys() - after.keys()) == round(items * changes.removed / 100)


def test_a_later_feed_keeps_the_order_and_ends_with_what_is_new() -> None:
    before, after = list(by_id(feed())), list(by_id(feed(seed=8, changes=A_LATER_DAY)))
    kept = [key for key in before if key in set(after)]
    assert after[: len(kept)] == kept
    assert len(after) == len(kept) + 15


def test_what_changes_is_what_changes_in_shops() -> None:
    day = Changes(7, changed=100, added=0, removed=0)
    before, after = parsed(feed(1000)), parsed(feed(1000, seed=8, changes=day))
    differing = Counter(
        name
        for old, new in zip(before, after, strict=True)
        for name in ("title", f"{G}price", f"{G}quantity", "additional_images_count")
        if old.findtext(name) != new.findtext(name)
    )
    assert differing == {"title": 50, f"{G}price": 350, f"{G}quantity": 250, "additional_images_count": 150}


@pytest.mark.parametrize("profile", ["clean", "typical"])
def test_a_changed_feed_is_as_good_as_the_one_before(profile: str) -> None:
    before, after = codes(feed(1000, profile=profile)), codes(feed(1000, 8, profile, Changes(7, 100, 0, 0)))
    assert all(abs(before[code] - after[code]) < 10 for code in before | after)


def test_another_days_seed_changes_other_items() -> None:
    base = by_id(feed())
    changed = [
        {key for key, item in by_id(feed(seed=seed, changes=A_LATER_DAY)).items() if base.get(key) != item}
        for seed in (8, 9)
    ]
    assert changed[0] != changed[1]


# --- Defects ---------------------------------------------------------------------------------------------------------


def test_a_bad_feed_has_every_defect_an_import_can_report() -> None:
    found = codes(feed(4000, profile="bad"))
    reportable = {defect.code for defect in DEFECTS} & BY_CODE.keys() - BETWEEN_ITEMS.keys()
    assert len(reportable) > 25
    assert reportable <= found.keys()


@pytest.mark.parametrize(("profile", "times"), [("typical", 1 / 3), ("bad", 3)])
def test_a_profile_has_its_share_of_defects(profile: str, times: float) -> None:
    items = 4000
    found = codes(feed(items, profile=profile))
    for code, percent in {
        "title.missing": 5.9,
        "brand.missing": 19.7,
        "image_link.missing": 6,
        "id.too_long": 1.9,
    }.items():
        expected = items * percent / 100 * times
        assert 0.7 * expected < found[code] < 1.3 * expected


def test_a_bad_feed_repeats_ids() -> None:
    ids = values(feed(2000, profile="bad"), "g:id")
    assert 60 < len(ids) - len(set(ids)) < 130


def test_every_defect_has_a_draw_of_its_own() -> None:
    assert len(DEFECTS) <= 2 * Dice.DRAWS


# --- Cheap -----------------------------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_feed() -> None:
    pieces = iter_items(items=4000, seed=8, profile="typical", changes=Changes(7))
    for _ in range(1000):
        next(pieces)
    gc.collect()
    tracemalloc.start()
    try:
        for _ in pieces:
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000


@pytest.mark.parametrize("size", [1, 2, 3, 64, 100, 1000])
def test_a_shuffle_gives_every_number_its_own_place(size: int) -> None:
    shuffle = Shuffle(size, seed=1, purpose="test")
    assert sorted(map(shuffle.place, range(size))) == list(range(size))


# --- The command -----------------------------------------------------------------------------------------------------


def test_the_command_writes_the_feed_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    call_command("generate_feed", "--items=50", "--seed=7", "--profile=bad", f"--out={path}")
    assert path.read_bytes() == feed(50, profile="bad")


def test_the_command_writes_a_later_feed_to_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    arguments = ["--from-seed=7", "--changed=10", "--added=5", "--removed=5"]
    call_command("generate_feed", "--items=50", "--seed=8", *arguments, "--out=-")
    assert capfdbinary.readouterr().out == feed(50, seed=8, changes=A_LATER_DAY)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--items=-1"], "items must be from 0 to 10,000,000, not -1."),
        ([f"--items={MAX_ITEMS + 1}"], "not 10,000,001."),
        (["--seed=-1"], "A seed must be a whole number from 0"),
        (["--changed=5"], "--changed needs --from-seed"),
        (["--from-seed=1", "--changed=101"], "changed must be a percentage from 0 to 100, not 101.0."),
        (["--from-seed=1", "--added=nan"], "added must be a percentage"),
        (["--from-seed=-1"], "A seed must be a whole number from 0"),
        (["--from-seed=1", "--changed=60", "--removed=60"], "5 changed and 5 removed items do not fit into 9"),
    ],
)
def test_wrong_usage_is_a_sentence_and_leaves_the_file_alone(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    path = tmp_path / "feed.xml"
    path.write_text("yesterday's")
    with pytest.raises(CommandError, match=re.escape(sentence)) as raised:
        call_command("generate_feed", "--items=9", *arguments, f"--out={path}")
    assert raised.value.returncode == 2
    assert path.read_text() == "yesterday's"


@pytest.mark.parametrize("arguments", [[], ["--items=ten", "--out=-"], ["--items=9", "--profile=good", "--out=-"]])
def test_arguments_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("generate_feed", *arguments)


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"no-such-folder/feed.xml cannot be written: No such file or directory\."):
        call_command("generate_feed", "--items=1", f"--out={tmp_path}/no-such-folder/feed.xml")


def test_a_feed_without_items_is_still_a_feed() -> None:
    assert parsed(b"".join(iter_feed(items=0, seed=1))) == []


# --- markets ------------------------------------------------------------------------------------------
def fields_of(xml: bytes, name: str) -> list[str]:
    return re.findall(rf"<{name}>(.*?)</{name}>", xml.decode(), re.DOTALL)


@pytest.mark.parametrize("code", ["ae-ar", "sa-ar", "kw-en", "bh-ar"])
@pytest.mark.parametrize("profile", ["clean", "bad"])
def test_a_market_has_the_same_products_in_its_currency_and_language(code: str, profile: str) -> None:
    usual, there = (b"".join(iter_feed(items=300, seed=4, profile=profile, market=market)) for market in ("", code))
    assert fields_of(there, "g:id") == fields_of(usual, "g:id")
    currency = {"ae": "AED", "sa": "SAR", "kw": "KWD", "bh": "BHD"}[code[:2]]
    assert currency.encode() in there
    assert (b"AED" in there) == (currency == "AED")
    titles = [title for title in fields_of(there, "title")[1:] if title]
    arabic = [title for title in titles if script_of_text(title.partition(" من ")[0]) == "Arabic"]
    assert len(arabic) > 0.9 * len(titles) if code.endswith("-ar") else not arabic
    assert b"".join(iter_feed(items=300, seed=4, profile=profile, market=code)) == there


def test_every_shelf_has_an_arabic_name() -> None:
    assert {kind.shelf for department in DEPARTMENTS for kind in department.kinds} == {*_NOUNS}


def test_an_unknown_market_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="Use one of these: ae-en, ae-ar, sa-en"):
        b"".join(iter_feed(items=1, seed=1, market="fr-fr"))


def test_amounts_have_the_decimals_of_their_currency() -> None:
    assert sample_market("sa-en").money_text(100_00) == "105.00 SAR"
    assert sample_market("kw-en").money_text(100_00) == "8.500 KWD"
    assert sample_market("kw-en").money_text(0) == "0.000 KWD"
