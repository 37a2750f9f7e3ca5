"""What people do with an import, from the file to the undo, as each role, in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.core import mail
from playwright.sync_api import Browser, Page, expect

from accounts.tests.conftest import PASSWORD, make_person
from catalog.imports.apply import apply
from catalog.imports.local import stage_locally
from catalog.imports.undo import undo
from catalog.models import Feed, ImportRun, Product, Status
from catalog.tests.factories.files import feed_of, item
from catalog.tests.factories.imports import applied, edit, planned
from catalog.tests.pages import PRODUCTS, UPLOAD, url
from notifications.tasks import deliver_messages
from tests.browser.conftest import DESKTOP, PHONE, open_palette

PageOf = Callable[..., Page]

BRANDS = ("Acme", "Bolt", "Cone")


def catalogue(feed: Feed) -> list[str]:
    """Nine products of three brands, with prices of 100 AED; what the shop sends of them the next day."""
    applied(feed, *[item(f"p{n}", title=f"Silk dress {n}", brand=BRANDS[n % 3]) for n in range(9)])
    changed = [
        item(f"p{n}", title=f"Silk dress {n}", brand=BRANDS[n % 3], price=f"{60 + 10 * n}.00 AED") for n in range(8)
    ]
    return [
        *changed,
        item("new", title="Velvet gown", brand="Dune"),
        item("bad", price="free"),
        item("worse", title=None),
    ]


def heading(page: Page, begins: str) -> None:
    """The import's page says this first, at once or after it has asked often enough."""
    expect(page.get_by_role("heading", name=re.compile(f"^{re.escape(begins)}"))).to_be_visible()


def upload(page: Page, file: Path) -> ImportRun:
    """Send the form; the import that is waiting then."""
    page.set_input_files("[name=import_file]", file)
    page.get_by_role("button", name="Upload and compare").click()
    heading(page, "Waiting for a worker")
    return ImportRun.objects.latest("pk")


def work_off(run: ImportRun, step: Callable[[ImportRun], Any] = stage_locally) -> None:
    """What a worker does with it."""
    run.refresh_from_db()
    step(run)


def filter_by(page: Page, **chosen: str) -> None:
    for name, value in chosen.items():
        page.locator(f".filters select[name={name}]").select_option(value)
    page.get_by_role("button", name="Filter", exact=True).click()


def leave_out(page: Page, product: str) -> None:
    page.locator("ul.changes > li", has_text=product).get_by_role("button", name="Leave this change out").click()
    expect(page.get_by_text("Left out of the plan.")).to_be_visible()


def log_in(page: Page, name: str) -> None:
    page.goto("/admin/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url(re.compile("^[^?]*/admin/$"))  # not that of the login, which ends with the way back


# --- the import -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_an_import_from_its_file_to_its_undo(
    page_of: PageOf, feed: Feed, tmp_path: Path, size: tuple[int, int], scheme: str
) -> None:
    """Ida uploads a file with problems and asks Alice, who finds, leaves out, confirms and undoes. Bob may look."""
    file = tmp_path / "tomorrow.xml"
    file.write_bytes(feed_of(*catalogue(feed)))
    edit("p1", title="Edited dress")
    alice = page_of("alice", size=size, color_scheme=scheme)
    ida = page_of("ida", size=size, color_scheme=scheme)

    # Ida looks at what is wrong with the file, and hands over.
    ida.goto(UPLOAD)
    run = upload(ida, file)
    work_off(run)
    heading(ida, "Confirming will add 1 and change 7 products; 1 replaces")
    ida.get_by_role("link", name=re.compile("^Issues")).click()
    ida.get_by_role("group", name="Kinds of issue").get_by_role("link", name="Error").click()
    expect(ida.locator("ul.issues > li")).to_have_count(2)
    ida.get_by_role("link", name=re.compile("^Invalid items")).click()
    filter_by(ida, code="title.missing")
    expect(ida.locator("ul.issues > li")).to_have_count(1)
    expect(ida.get_by_role("button", name=re.compile("^Confirm"))).to_have_count(0)
    expect(ida.get_by_text("Waits for: alice")).to_be_visible()
    ida.get_by_text("Ask…").click()
    ida.locator("#whom").select_option("alice")
    ida.get_by_label("A note for them").fill("Look at Acme")
    ida.get_by_role("button", name="Send an e-mail").click()
    expect(ida.get_by_text("alice gets an e-mail.")).to_be_visible()
    deliver_messages()
    assert any("Look at Acme" in str(each.body) for each in mail.outbox if each.to == ["alice@example.com"])

    # Alice reviews it, and leaves two changes out.
    alice.goto(url(run))
    expect(alice.get_by_text("ida asked alice")).to_be_visible()
    filter_by(alice, brand="Acme", sort="falls")
    expect(alice.get_by_text("3 changes match.")).to_be_visible()
    assert alice.locator("ul.changes > li summary code").all_inner_texts() == ["p0", "p3", "p6"]
    leave_out(alice, "p0")
    expect(alice.locator("select[name=brand]")).to_have_value("Acme")
    expect(alice.get_by_text("2 changes match.")).to_be_visible()
    alice.get_by_role("link", name="Clear filters").click()
    filter_by(alice, edit="replaced")
    expect(alice.locator(".chip.replaces")).to_have_text(re.compile("^Replaces .*edit of"))
    leave_out(alice, "p1")
    heading(alice, "Confirming will add 1 and change 5 products; 2 are left out.")
    alice.get_by_role("group", name="Kinds of change").get_by_role("link", name="Left out 2").click()
    expect(alice.locator("ul.changes > li")).to_have_count(2)

    # She confirms, and takes it back.
    alice.get_by_role("button", name="Confirm: add 1").click()
    heading(alice, "Applying the plan")
    work_off(run, apply)
    heading(alice, "This import added 1")
    titles_and_prices = Product.objects.values_list("title", "price")
    assert titles_and_prices.get(id="p1") == ("Edited dress", 100)
    assert titles_and_prices.get(id="p2") == ("Silk dress 2", 80)
    alice.get_by_role("link", name="Undo…").click()
    alice.get_by_role("button", name="Undo this import").click()
    heading(alice, "Undoing the import")
    work_off(run, undo)
    heading(alice, "This import was undone")
    assert titles_and_prices.get(id="p2") == ("Silk dress 2", 100)

    bob = page_of("bob", size=size, color_scheme=scheme)
    bob.goto(url(run))
    heading(bob, "This import was undone")
    expect(bob.get_by_role("button", name=re.compile("Confirm|Apply|Undo"))).to_have_count(0)


def test_from_the_login_to_a_confirmed_import_in_five_clicks(
    chromium: Browser, live_server: Any, feed: Feed, tmp_path: Path
) -> None:
    file = tmp_path / "tomorrow.xml"
    file.write_bytes(feed_of(*catalogue(feed)))
    make_person("anna", "approver", is_staff=True)
    context = chromium.new_context(base_url=live_server.url)
    clicks: list[str] = []
    context.expose_function("noteClick", lambda what: clicks.append(what))
    note = "(event) => event.isTrusted && event.detail && noteClick(event.target.textContent)"
    context.add_init_script(f"addEventListener('click', {note}, true)")
    page = context.new_page()

    log_in(page, "anna")
    page.get_by_role("link", name="Import a feed").click()
    with page.expect_file_chooser() as chooser:
        page.locator("[name=import_file]").click()
    chooser.value.set_files(file)
    expect(page.get_by_text("The first item as it would be read")).to_be_visible()
    page.get_by_role("button", name="Upload and compare").click()
    heading(page, "Waiting for a worker")
    run = ImportRun.objects.latest("pk")
    work_off(run)
    heading(page, "Confirming will add 1 and change 7 products")
    page.get_by_role("button", name="Confirm: add 1").click()
    heading(page, "Applying the plan")
    context.close()
    assert len(clicks) <= 5, clicks


def test_a_list_goes_through_excel_and_back(page_of: PageOf, feed: Feed, tmp_path: Path) -> None:
    catalogue(feed)
    page = page_of("alice")
    page.goto(f"{PRODUCTS}?q=silk")
    page.get_by_role("link", name="Export").last.click()
    page.locator("[name=format]").select_option(label="Excel (XLSX)")
    with page.expect_download() as download:
        page.locator("main [type=submit], #content [type=submit]").last.click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)

    book = openpyxl.load_workbook(file)
    sheet = book.worksheets[0]
    columns = {cell.value: cell.column for cell in sheet[1]}
    edited = {}
    for row, (column, value) in {2: ("price", 75), 3: ("color", "Ivory")}.items():
        sheet.cell(row, columns[column]).value = value
        edited[column] = sheet.cell(row, columns["id"]).value
    book.save(file)

    page.goto(UPLOAD)
    page.locator('[name="mode"][value="update"]').check()
    run = upload(page, file)
    work_off(run)
    heading(page, "Confirming will change 2 products.")
    for column, new in (("price", "75.00 AED -25.0%"), ("color", "Ivory")):
        expect(page.locator("ul.changes > li", has_text=edited[column]).locator("td.new")).to_have_text(new)
    page.get_by_role("button", name="Confirm: change 2 products").click()
    heading(page, "Applying the plan")
    work_off(run, apply)
    heading(page, "This import changed 2 products.")
    assert Product.objects.get(id=edited["price"]).price == 75


# --- each role ------------------------------------------------------------------------------------------
PAGES_OF_ROLES = {
    "viewer": {"Products", "Imports", "Feeds"},
    "importer": {"Products", "Imports", "Feeds", "Import a feed"},
    "approver": {"Products", "Imports", "Feeds", "Import a feed"},
    "manager": {"Products", "Imports", "Feeds", "Import a feed", "Invitations", "Roles"},
}


def test_each_role_logs_in_for_the_first_time_and_finds_what_it_may_do(
    chromium: Browser, live_server: Any, feed: Feed
) -> None:
    offered = {*PAGES_OF_ROLES["manager"]}
    for role, expected in PAGES_OF_ROLES.items():
        make_person(f"new-{role}", role, is_staff=True)
        context = chromium.new_context(base_url=live_server.url)
        page = context.new_page()
        log_in(page, f"new-{role}")
        links = [link.splitlines() for link in page.locator("a").all_text_contents()]
        found = {name for name in offered if any(name in map(str.strip, lines) for lines in links)}
        assert found == expected, role
        context.close()


def test_a_product_is_edited_and_pinned_and_the_next_import_keeps_it(page_of: PageOf, feed: Feed) -> None:
    items = catalogue(feed)
    page = page_of("mona")
    page.goto(f"{PRODUCTS}p0/change/")
    page.locator("[name=title]").fill("Chosen by hand")
    page.get_by_role("button", name="Save and pin what I changed").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    product = Product.objects.get(id="p0")
    assert (product.title, product.pinned) == ("Chosen by hand", ["title"])
    run = planned(feed, *items)
    page.goto(f"{url(run)}?tab=changes&q=p0")
    expect(page.locator("ul.changes > li")).to_contain_text("pinned: kept")


def test_many_products_are_pinned_and_archived_from_the_list(page_of: PageOf, feed: Feed) -> None:
    catalogue(feed)
    page = page_of("mona")
    page.goto(f"{PRODUCTS}?q=silk")
    for box in page.locator("input.action-select").all()[:2]:
        box.check()
    page.locator("select[name=action]").select_option("archive_selected")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", name="Archive these products?")).to_be_visible()
    assert Product.objects.active().count() == 9
    page.get_by_role("button", name="Archive 2 products").click()
    expect(page.get_by_text("2 products archived.")).to_be_visible()
    assert Product.objects.active().count() == 7


def test_preferences_are_kept(page_of: PageOf) -> None:
    page = page_of("ida")
    page.goto("/admin/")
    page.get_by_role("button", name="ida").click()
    page.get_by_role("link", name="My e-mails").click()
    first = page.locator("select").first
    value = first.locator("option").last.get_attribute("value")
    first.select_option(value)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your choices apply from now on.")).to_be_visible()
    page.reload()
    expect(page.locator("select").first).to_have_value(str(value))


def test_the_palette_finds_a_product_and_what_can_be_done(page_of: PageOf, feed: Feed) -> None:
    catalogue(feed)
    page = page_of("alice")
    open_palette(page)
    page.keyboard.type("p3")
    expect(page.get_by_role("link", name=re.compile("Silk dress 3"))).to_be_visible()
    page.keyboard.press("Control+a")
    page.keyboard.type("ounass")
    page.get_by_role("link", name=re.compile(f"Import into {feed}")).click()
    expect(page.locator("[name=feed]")).to_have_value(str(feed.pk))


# --- other ways to work -----------------------------------------------------------------------------------


def tab_to(page: Page, wanted: str) -> None:
    """Go on with the tab key until what is wanted has the focus."""
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted):
            return
    pytest.fail(f"No key leads to {wanted}.")


@pytest.fixture
def plan(feed: Feed) -> ImportRun:
    return planned(feed, *catalogue(feed))


@pytest.fixture
def alice(page_of: PageOf, plan: ImportRun) -> Page:
    """Alice has the plan before her."""
    page = page_of("alice")
    page.goto(url(plan))
    return page


def test_a_plan_is_reviewed_and_confirmed_by_keyboard_alone(alice: Page, plan: ImportRun) -> None:
    alice.keyboard.press("Tab")
    skip = alice.locator(":focus")
    expect(skip).to_have_text(re.compile("Skip to"))
    alice.keyboard.press("Enter")
    tab_to(alice, "select[name=brand]")
    alice.keyboard.type("Bolt")
    tab_to(alice, ".filters button[type=submit]")
    alice.keyboard.press("Enter")
    expect(alice.get_by_text("2 changes match.")).to_be_visible()
    tab_to(alice, "button[form=leave-out][name=part]")
    alice.keyboard.press("Enter")
    expect(alice.get_by_text("Left out of the plan.")).to_be_visible()
    tab_to(alice, "button[name=confirm]")
    alice.keyboard.press("Enter")
    heading(alice, "Applying the plan")
    plan.refresh_from_db()
    assert plan.status == Status.APPLYING


def test_a_plan_is_reviewed_and_confirmed_without_javascript(page_of: PageOf, plan: ImportRun) -> None:
    page = page_of("alice", java_script_enabled=False)
    page.goto(url(plan))
    filter_by(page, brand="Acme", sort="rises")
    expect(page.get_by_text("3 changes match.")).to_be_visible()
    leave_out(page, "p6")
    expect(page.get_by_text("2 changes match.")).to_be_visible()
    page.get_by_role("button", name="Confirm: add 1").click()
    heading(page, "Applying the plan")
    work_off(plan, apply)
    page.reload()
    heading(page, "This import added 1")


def test_what_one_tab_leaves_out_another_does_not_confirm_unseen(alice: Page, plan: ImportRun) -> None:
    second = alice.context.new_page()
    second.goto(url(plan))
    leave_out(alice, "p0")
    second.get_by_role("button", name="Confirm: add 1").click()
    expect(second.get_by_text("The plan has changed since you looked at it.")).to_be_visible()
    plan.refresh_from_db()
    assert plan.status == Status.REVIEW
    second.get_by_role("button", name="Confirm: add 1").click()
    heading(second, "Applying the plan")
    alice.get_by_role("button", name="Confirm: add 1").click()
    expect(alice.get_by_text("alice has already confirmed it.")).to_be_visible()


def slow_answers(page: Page, address: re.Pattern[str]) -> list[str]:
    """Let each answer there take two seconds; what was asked for."""
    asked: list[str] = []

    def answer_slowly(route: Any) -> None:
        asked.append(route.request.method)
        time.sleep(2)
        route.continue_()

    page.route(address, answer_slowly)
    return asked


def test_a_server_that_takes_two_seconds_is_asked_once(alice: Page, plan: ImportRun) -> None:
    asked = slow_answers(alice, re.compile("/confirm/$"))
    alice.locator("button[name=confirm]").dblclick(no_wait_after=True)
    heading(alice, "Applying the plan")
    assert asked == ["POST"]
    plan.refresh_from_db()
    assert plan.status == Status.APPLYING
