"""What people do with a plan in a real browser: through Excel, by keyboard, without JavaScript, in two tabs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from playwright.sync_api import Page, expect

from catalog.imports.apply import apply
from catalog.imports.local import stage_locally
from catalog.models import Feed, ImportRun, Status
from catalog.tests.factories.files import item
from catalog.tests.factories.imports import applied, planned
from catalog.tests.pages import PRODUCTS, UPLOAD, url

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


def work_off(run: ImportRun, step: Callable[[ImportRun], Any] = stage_locally) -> None:
    """What a worker does with it."""
    run.refresh_from_db()
    step(run)


def leave_out(page: Page, product: str) -> None:
    page.locator("ul.changes > li", has_text=product).get_by_role("button", name="Leave this change out").click()


def test_a_list_goes_through_excel_and_back(page_of: PageOf, feed: Feed, tmp_path: Path) -> None:
    catalogue(feed)
    page = page_of("alice")
    page.goto(f"{PRODUCTS}?q=silk")
    page.goto(f"{PRODUCTS}export/?q=silk")
    page.locator("[name=format]").select_option(label="Excel (XLSX)")
    with page.expect_download() as download:
        page.locator("form button[type=submit], form input[type=submit]").last.click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)

    book = openpyxl.load_workbook(file)
    sheet = book.worksheets[0]
    columns = {cell.value: cell.column for cell in sheet[1]}
    sheet.cell(2, columns["price"]).value = 75
    sheet.cell(3, columns["color"]).value = "Ivory"
    book.save(file)

    page.goto(UPLOAD)
    page.set_input_files("[name=import_file]", file)
    page.locator('[name="mode"][value="update"]').check()
    page.get_by_role("button", name="Upload and compare").click()
    run = ImportRun.objects.latest("pk")
    work_off(run)
    expect(page.get_by_role("heading", name="Confirming will change 2 products.")).to_be_visible(timeout=15_000)
    expect(page.locator("ul.changes > li", has_text="p0").locator("td.new")).to_have_text("75.00 AED -25.0%")
    expect(page.locator("ul.changes > li", has_text="p1").locator("td.new")).to_have_text("Ivory")
    page.get_by_role("button", name="Confirm: change 2 products").click()
    work_off(run, apply)
    expect(page.get_by_role("heading", name="This import changed 2 products.")).to_be_visible(timeout=15_000)


def test_preferences_are_kept(page_of: PageOf) -> None:
    page = page_of("ida")
    page.goto("/admin/")
    page.get_by_role("button", name="ida").click()
    page.get_by_role("link", name="My e-mails").click()
    first = page.locator("select").first
    value = first.locator("option").last.get_attribute("value")
    first.select_option(value)
    page.get_by_role("button", name="Save").click()
    page.reload()
    expect(page.locator("select").first).to_have_value(str(value))


# --- other ways to work -------------------------------------------------------------------------------------
def tab_to(page: Page, wanted: str) -> None:
    """Go on with the tab key until what is wanted has the focus."""
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted):
            return
    pytest.fail(f"No key leads to {wanted}.")


def test_a_plan_is_reviewed_and_confirmed_by_keyboard_alone(page_of: PageOf, feed: Feed) -> None:
    run = planned(feed, *catalogue(feed))
    page = page_of("alice")
    page.goto(url(run))
    tab_to(page, "select[name=brand]")
    page.keyboard.type("Bolt")
    tab_to(page, ".filters button[type=submit]")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("2 changes match.")
    tab_to(page, "button[form=leave-out][name=part]")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Left out of the plan.")).to_be_visible()
    tab_to(page, "button[name=confirm]")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/change/$"))
    run.refresh_from_db()
    assert run.status == Status.APPLYING


def test_a_plan_is_reviewed_and_confirmed_without_javascript(page_of: PageOf, feed: Feed) -> None:
    run = planned(feed, *catalogue(feed))
    page = page_of("alice", java_script_enabled=False)
    page.goto(url(run))
    page.locator("select[name=brand]").select_option("Acme")
    page.locator("select[name=sort]").select_option("rises")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("3 changes match.")
    leave_out(page, "p6")
    expect(page.get_by_role("status")).to_have_text("2 changes match.")
    page.get_by_role("button", name="Confirm: add 1").click()
    run.refresh_from_db()
    assert run.status == Status.APPLYING
    apply(run)
    page.reload()
    expect(page.get_by_role("heading", name="This import added 1")).to_be_visible()


def test_what_one_tab_leaves_out_another_does_not_confirm_unseen(page_of: PageOf, feed: Feed) -> None:
    run = planned(feed, *catalogue(feed))
    first = page_of("alice")
    second = first.context.new_page()
    for tab in (first, second):
        tab.goto(url(run))
    leave_out(first, "p0")
    second.get_by_role("button", name="Confirm: add 1").click()
    expect(second.get_by_text("The plan has changed since you looked at it.")).to_be_visible()
    run.refresh_from_db()
    assert run.status == Status.REVIEW
    second.get_by_role("button", name="Confirm: add 1").click()
    first.get_by_role("button", name="Confirm: add 1").click()
    expect(first.get_by_text("alice has already confirmed it.")).to_be_visible()
