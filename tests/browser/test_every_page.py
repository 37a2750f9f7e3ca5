"""Every page with something on it, in light and dark, on a desk and on a phone: readable, and no wider than the screen.

`SHOTS=folder make test-browser` keeps a picture of each.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import FilePayload, Page

from accounts.invitations import invite
from accounts.keys import make_key
from accounts.models import LoginRecord, User
from catalog.imports.ask import ask
from catalog.imports.leave_out import leave_out
from catalog.imports.local import local_queue, stage_locally
from catalog.management.commands import demo_data
from catalog.models import Export, Feed, FeedSource, ImportRun, Product, RefusedFile, Webhook, WebhookDelivery
from catalog.templatetags.catalog import product_url
from catalog.tests.factories.files import feed_of, item
from catalog.tests.factories.imports import applied, edit, execute, received, undone, uploaded
from catalog.tests.pages import EXPORT, PRODUCTS, RUNS, UPLOAD, staff, url
from notifications.models import Message
from samples import Changes, write_feed
from tests.browser.conftest import DESKTOP, PHONE, open_palette

PageOf = Callable[..., Page]
DEMO_PRODUCTS = 24
NOWHERE = "/admin/nothing/"
LONG = "فستان سهرة طويل من الحرير الطبيعي مطرز يدويا بالكامل " * 4


@pytest.fixture
def busy_shop(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A catalogue of two markets in which everything has happened once: the addresses to look at."""
    monkeypatch.setattr(demo_data, "ITEMS", DEMO_PRODUCTS)
    call_command("demo_data", verbosity=0)
    feed = Feed.objects.get(slug="demo")
    arabic = Feed.objects.get(slug="demo-ar")
    alice, mona = staff("alice"), staff("mona")
    edit(Product.objects.filter(feed=feed).latest("id").id, title="Chosen by hand", pinned=["title", "price"])

    undone(applied(feed, item("A1", item_group_id="G", color="Red", size="M"), item("A2", price="20.00 AED")))
    long_link = "https://www.example.com/" + "long" * 40
    applied(arabic, item("long", title=LONG, product_type=LONG, link=long_link, item_group_id="G"), *_variants())
    useless = applied(feed, item("bad", price="free"))
    with local_queue():
        waiting = received(feed, feed_of(item("B1")))
    failed = received(feed, feed_of(item("B2")))
    ImportRun.objects.filter(pk=failed.pk).update(
        status="failed", error="The XML breaks off in line 12.", finished_at=timezone.now()
    )
    done = execute(_next_day(feed, seed=3))
    plan = _next_day(feed, seed=4)
    leave_out(plan, plan_hash=plan.plan_hash, by=alice, change=plan.changes.latest("pk").pk)
    plan.refresh_from_db()
    ask(plan, whom="alice", note="Look at the prices", by=mona)
    held = _next_day(feed, seed=5, mode="sync", removed=60)
    _beside(feed, mona)

    product = Product.objects.filter(feed=feed).earliest("id")
    far = Product.objects.get(id="long")
    change = f"{url(plan)}?tab="
    return [
        *_of_every_model(mona),
        "/admin/",
        "/admin/my-mail/",
        f"{PRODUCTS}?grouped=yes",
        f"{PRODUCTS}?q=silk&availability__exact=in_stock",
        f"{PRODUCTS}?q=nothinglikethis",
        f"{PRODUCTS}?market=sa-ar",
        product_url(product.id, product.market) + "?offer=title,price",
        product_url(far.id, far.market),
        product_url(far.id, far.market, "history"),
        EXPORT,
        UPLOAD,
        f"{UPLOAD}?mode=sync",
        f"{RUNS}?status__exact=review",
        f"{RUNS}?q=nothinglikethis",
        reverse("admin:catalog_reference"),
        *(url(run) for run in (useless, waiting, failed, done, held)),
        url(done, "undo"),
        *(f"{change}{tab}" for tab in ("changes", "missing", "issues", "invalid", "attributes")),
        f"{change}changes&sort=falls&edit=replaced",
        f"{change}changes&outcome=left_out",
        f"{change}changes&field=price",
        f"{change}changes&q=nothinglikethis",
        f"{url(held)}?tab=missing",
        url(plan, "edited"),
        reverse("admin:catalog_feed_source", args=[feed.pk]),
        reverse("admin:catalog_feed_change", args=[arabic.pk]),
        NOWHERE,
        "/accounts/",
        *(reverse(name) for name in OWN_PAGES),
    ]


OWN_PAGES = (
    "account_email account_change_password mfa_index mfa_activate_totp mfa_list_webauthn account_history account_keys "
    "usersessions_list account_logout"
).split()


def _variants() -> Iterator[str]:
    for size in ("XS", "S", "M", "L", "XL"):
        yield item(f"long-{size}", title=LONG, item_group_id="G", size=size, color="أحمر", price="1,200.00 SAR")


def _next_day(feed: Feed, *, seed: int, mode: str = "update", removed: int = 1) -> ImportRun:
    """The feed's next file, compared."""
    file = BytesIO()
    later = Changes(from_seed=demo_data.SEED, changed=40, added=10, removed=removed)
    write_feed(file, items=DEMO_PRODUCTS, seed=seed, profile="typical", changes=later)
    with local_queue():
        run = uploaded(feed, file.getvalue(), mode=mode)
    stage_locally(run)
    assert run.status == "review", run.error
    return run


def _beside(feed: Feed, mona: User) -> None:
    """What there is beside products, feeds and imports."""
    with local_queue():
        invite("dora@example.com", Group.objects.get(name="viewer"), by=mona)
    make_key(mona, name="shop", scopes=["read"], feeds=[], days=30, by=mona)
    LoginRecord.objects.create(user=mona, to="admin", how="password", address="192.0.2.1")
    RefusedFile.objects.create(feed=feed, uploaded_by=mona, file_name="page.xml", file_size=1, sentence="A web page.")
    Export.objects.create(by=mona, market=feed.market, format="csv", status="ready", products=60, file_size=9000)
    FeedSource.objects.create(feed=feed, address="https://shop.example.com/feed.xml")
    Message.objects.get_or_create(name="greeting", about="dress:1", defaults={"subject": "A", "html": "<p>A</p>"})
    webhook = Webhook.objects.create(name="shop", address="http://192.0.2.1/hooks", events=["import.applied"])
    for status in ("waiting", "sent", "parked"):
        WebhookDelivery.objects.create(
            webhook=webhook, event="import.applied", about=f"catalog.importrun:{status}", body="{}", status=status
        )


def _of_every_model(person: User) -> Iterator[str]:
    """The list, the form and a row's pages of every model that the person may look at."""
    request = RequestFactory().get("/")
    request.user, request.session = person, {}  # type: ignore[assignment]
    for model, pages in admin.site._registry.items():
        if not pages.has_view_permission(request):
            continue
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        if pages.has_add_permission(request):
            yield reverse(f"{name}_add")
        row = model._default_manager.first()
        if row is None or isinstance(row, (Product, ImportRun)):
            continue
        yield reverse(f"{name}_change", args=[row.pk])
        if pages.has_delete_permission(request, row):
            yield reverse(f"{name}_delete", args=[row.pk])


VARIANTS: tuple[tuple[Literal["light", "dark"], tuple[int, int], str], ...] = (
    ("light", DESKTOP, "desktop"),
    ("dark", DESKTOP, "desktop"),
    ("dark", PHONE, "phone"),
    ("light", PHONE, "phone"),
)
STILL = "*, *::before, *::after { transition: none !important; animation: none !important }"
SWITCH_THEME = "(scheme) => { if (window.Alpine) Alpine.$data(document.documentElement).adminTheme = scheme }"
# Rows after the tenth look like those before them, and axe takes long over each.
ROWS = "#content :is(tr, li):nth-child(n+11)"
CUT_LISTS = f"document.querySelectorAll('{ROWS}').forEach((row) => row.remove())"
# In the dark nothing but the colours is different.
RUN_AXE = """(scheme) => axe.run({
    resultTypes: ["violations"],
    ...(scheme === "dark" ? { runOnly: { type: "rule", values: ["color-contrast"] } } : {}),
}).then((results) => results.violations)"""


def look_closely(page: Page, state: str = "") -> list[str]:
    """What is wrong with the page as it is, in light and dark, on a desk and on a phone."""
    shots = os.environ.get("SHOTS", "")
    found: list[str] = []
    page.add_style_tag(content=STILL)
    page.evaluate(CUT_LISTS)
    page.evaluate(Axe().axe_script)
    for scheme, (width, height), device in VARIANTS:
        page.emulate_media(color_scheme=scheme)
        page.evaluate(SWITCH_THEME, scheme)
        page.set_viewport_size({"width": width, "height": height})
        for violation in page.evaluate(RUN_AXE, scheme):
            if violation["impact"] in ("serious", "critical"):
                nodes = "\n    ".join(node["html"][:200] for node in violation["nodes"][:5])
                found.append(f"{page.url} {state} {scheme} {device}: {violation['id']}\n    {nodes}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"{page.url} {state} {scheme} {device}: {wide} wide")
        if shots:
            address = page.url.partition("//")[2].partition("/")[2].removeprefix("admin/")
            name = re.sub(r"\W+", "-", f"{address}-{state}").strip("-")
            Path(shots).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(shots) / f"{name[:90] or 'index'}-{device}-{scheme}.png", full_page=True)
    return found


def test_every_page_is_readable_and_fits(page_of: PageOf, busy_shop: list[str]) -> None:
    page = page_of("mona")
    found = []
    for address in dict.fromkeys(busy_shop):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200 or address == NOWHERE, f"{address}: {answer.status}"
        page.evaluate("document.querySelectorAll('#content details').forEach((each) => { each.open = true })")
        found += look_closely(page)
    for state, open_up in STATES.items():
        page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        open_up(page)
        found += look_closely(page, state)
    assert not found, "\n".join(found)


def find_commands(page: Page) -> None:
    open_palette(page)
    page.keyboard.type("import")
    page.get_by_role("link", name="Failed imports").wait_for()


def open_filters(page: Page) -> None:
    page.goto(PRODUCTS)
    page.locator("a:has-text('Filters')").first.click()
    page.locator("[name=price_from]").wait_for()


def choose_products(page: Page) -> None:
    page.goto(PRODUCTS)
    for box in page.locator("input.action-select").all()[:2]:
        box.check()
    page.locator("select[name=action]").wait_for()


def ask_before_many_are_changed(page: Page) -> None:
    choose_products(page)
    page.locator("select[name=action]").select_option("pin_selected")
    page.get_by_role("button", name="Run").click()
    page.locator(".bulk").wait_for()


def look_at_a_file(page: Page) -> None:
    page.goto(UPLOAD)
    content = feed_of(item("A1", price="free", colour="red"))
    page.set_input_files("[name=import_file]", files=FilePayload(name="feed.xml", mimeType="text/xml", buffer=content))
    page.get_by_text("The first item as it would be read").wait_for()


STATES: dict[str, Callable[[Page], None]] = {
    "palette": find_commands,
    "filters": open_filters,
    "chosen": choose_products,
    "bulk": ask_before_many_are_changed,
    "look": look_at_a_file,
}
