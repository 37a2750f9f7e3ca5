"""What webhooks are told of imports, products and feeds, in the transaction that makes it true."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from jsonschema import Draft202012Validator

from accounts.models import User
from accounts.sessions import SessionRefreshToken
from catalog.api.webhooks import describe_webhooks
from catalog.fetching.notices import announce_quiet
from catalog.imports.confirm import go_on
from catalog.imports.edit import Edit, edit_products
from catalog.imports.sweep import sweep
from catalog.imports.work.queue import fail
from catalog.models import (
    CatalogState,
    Feed,
    FeedSource,
    ImportRun,
    Market,
    Product,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
)
from catalog.tests.factories import (
    applied,
    edit,
    execute,
    feed_of,
    item,
    items,
    person,
    planned,
    received,
    redone,
    undone,
)
from catalog.tests.webhooks.conftest import Receiver
from catalog.webhooks.deliver import deliver

pytestmark = pytest.mark.django_db


def told(*events: str) -> list[Any]:
    """The data of each event, in its order."""
    rows = WebhookDelivery.objects.order_by("pk")
    return [json.loads(row.body)["data"] for row in rows if row.event in events or not events]


def event_names() -> list[str]:
    return list(WebhookDelivery.objects.order_by("pk").values_list("event", flat=True))


@pytest.fixture(autouse=True)
def webhook(hook: Callable[..., Webhook]) -> Webhook:
    return hook()


# --- imports ------------------------------------------------------------------------------------------
def test_the_way_of_an_import_is_told(feed: Feed, receiver: Receiver) -> None:
    run = planned(feed, *items(3), item("bad", price="free"))
    go_on(run)
    execute(run)
    undone(run)
    redone(run)
    assert deliver() == 7
    expected = ["import.review", *["products.changed", "import.applied"]]
    expected += ["products.changed", "import.undone", "products.changed", "import.applied"]
    assert receiver.types() == expected
    assert set(receiver.numbers()) == {run.pk}
    review, first, undo, second = told("import.review", "import.applied", "import.undone")
    assert review["plan_hash"] == run.plan_hash
    assert review["counts"]["created"] == 3
    assert (review["feed"], review["market"], review["status"]) == ("ounass", "default", "review")
    assert review["url"].endswith(f"/imports/{run.pk}/")
    assert (first["catalogue_version"], first["counts"]["invalid"]) == (1, 1)
    assert (undo["status"], undo["counts"]["undone"]) == ("undone", 3)
    assert second["catalogue_version"] == 3


def test_a_plan_that_waits_is_told_once(feed: Feed) -> None:
    run = planned(feed, *items(2))
    for _minute in range(3):
        go_on(run)
        sweep()
    assert event_names() == ["import.review"]


def test_a_plan_that_needs_no_person_is_not_for_review(feed: Feed) -> None:
    applied(feed, *items(2))
    run = planned(feed, *items(2))
    go_on(run)
    assert "import.review" not in event_names()


def test_a_failure_says_its_code_and_no_word_of_the_file(feed: Feed) -> None:
    run = received(feed, feed_of(item("1", title="Secret gown")))
    fail(run, "feed.odd", "The title Secret gown is odd.")
    (failed,) = told()
    assert (failed["code"], failed["status"]) == ("feed.odd", "failed")
    assert "gown" not in json.dumps(failed)


def test_an_undo_that_fails_leaves_the_import_as_it_was(feed: Feed, alice: User) -> None:
    run = applied(feed, *items(2))
    WebhookDelivery.objects.all().delete()
    run.move("applied", to="undoing", by=alice)  # type: ignore[arg-type]
    fail(run, "internal_error", "Something unexpected happened.")
    assert [(each["status"], each["code"]) for each in told("import.failed")] == [("applied", "internal_error")]


def test_an_import_that_is_rolled_back_tells_nothing(feed: Feed) -> None:
    run = planned(feed, *items(2))
    with transaction.atomic():
        execute(run)
        assert told("import.applied", "products.changed")
        transaction.set_rollback(True)
    assert event_names() == []


def test_without_a_webhook_nothing_is_written(feed: Feed, webhook: Webhook) -> None:
    webhook.delete()
    applied(feed, *items(2))
    assert not WebhookDelivery.objects.exists()


def test_what_is_told_is_as_described(feed: Feed, alice: User) -> None:
    FeedSource.objects.create(feed=feed, address="https://x.example/", last_new_at=timezone.now() - timedelta(days=9))
    undone(applied(feed, *items(2)))
    go_on(planned(feed, item("new")))
    fail(received(feed, feed_of(item("other"))), "feed.odd", "It is odd.")
    announce_quiet()
    schema = describe_webhooks({"components": {"schemas": {}}})
    bodies = [json.loads(delivery.body) for delivery in WebhookDelivery.objects.all()]
    assert {body["type"] for body in bodies} == {*WebhookEvent.values} == {*schema["x-webhooks"]}
    for body in bodies:
        content = schema["x-webhooks"][body["type"]]["post"]["requestBody"]["content"]
        described = {**content["application/json"]["schema"], "components": closed(schema["components"])}
        Draft202012Validator(described).validate(body)


def closed(part: Any) -> Any:
    """The schemas as JSON Schema says them, in which nothing else may be there."""
    if isinstance(part, list):
        return [closed(one) for one in part]
    if not isinstance(part, dict):
        return part
    said = {name: closed(value) for name, value in part.items() if name != "nullable"}
    if part.get("type") == "object" and "properties" in part:
        said["additionalProperties"] = False
    return {"anyOf": [said, {"type": "null"}]} if part.get("nullable") is True else said


# --- products -----------------------------------------------------------------------------------------
def test_changed_products_carry_the_versions_from_and_to(feed: Feed, receiver: Receiver) -> None:
    run = applied(feed, *items(2))
    deliver()
    edit("00001", title="Silk gown")
    deliver()
    first, second = told("products.changed")
    assert (first["since"], first["version"], first["import"]) == (0, 1, run.pk)
    assert (second["since"], second["version"], second["import"], second["market"]) == (1, 2, None, "default")
    assert second["url"].endswith("/products/changes/?since=1&market=default")
    assert CatalogState.current(1) == 2


def test_the_link_of_changed_products_leads_to_them(
    feed: Feed, receiver: Receiver, alice: User, client: Client, settings: Any
) -> None:
    applied(feed, *items(2))
    deliver()
    for title in ("a", "b"):
        edit("00001", title=title)
    _first, second = told("products.changed")
    headers = {"Authorization": f"Bearer {SessionRefreshToken.for_user(alice).access_token}"}
    answer = client.get(second["url"].removeprefix(settings.SITE_URL.rstrip("/")), headers=headers).json()
    assert [(row["id"], row["version"]) for row in answer["results"]] == [("00001", second["version"])]
    assert answer["version"] == second["version"]


def test_many_products_changed_at_once_are_told_once(feed: Feed, receiver: Receiver) -> None:
    applied(feed, *items(3))
    deliver()
    keys = list(Product.objects.values_list("pk", flat=True))
    maria = person("maria-edits", "change_product")
    assert edit_products(keys, Edit.ARCHIVE, by=maria, market=1) == 3
    assert [(each["since"], each["version"]) for each in told("products.changed")] == [(0, 1), (1, 4)]
    assert edit_products(keys, Edit.ARCHIVE, by=maria, market=1) == 0
    assert len(told("products.changed")) == 2


def test_what_nobody_tried_to_send_is_told_together(feed: Feed, receiver: Receiver) -> None:
    applied(feed, *items(2))
    deliver()
    for title in ("a", "b", "c"):
        edit("00001", title=title)
    assert [(each["since"], each["version"]) for each in told("products.changed")] == [(0, 1), (1, 4)]


def test_what_was_tried_once_stays_as_it_is(feed: Feed, receiver: Receiver) -> None:
    applied(feed, *items(2))
    deliver()
    receiver.moods = ["500 Oops"]
    edit("00001", title="a")
    deliver()
    edit("00001", title="b")
    assert [(each["since"], each["version"]) for each in told("products.changed")] == [(0, 1), (1, 2), (2, 3)]


def test_two_markets_are_never_told_together(feed: Feed) -> None:
    other = Market.objects.create(code="sa-ar", name="Saudi Arabia")
    CatalogState.bump(1)
    CatalogState.bump(other.pk)
    CatalogState.bump(1)
    found = [(each["market"], each["since"], each["version"]) for each in told()]
    assert found == [("default", 0, 1), ("sa-ar", 0, 1), ("default", 1, 2)]


def test_what_is_removed_in_the_shell_is_a_change(feed: Feed) -> None:
    applied(feed, *items(2))
    WebhookDelivery.objects.all().delete()
    Product.objects.get(id="00001").delete()
    assert [each["version"] for each in told("products.changed")] == [2]


# --- feeds --------------------------------------------------------------------------------------------
def test_a_quiet_feed_is_told_once_until_it_brings_something(feed: Feed) -> None:
    hour = timedelta(hours=1)
    now = timezone.now()
    source = FeedSource.objects.create(feed=feed, address="https://shop.example/", last_new_at=now - 47 * hour)
    assert announce_quiet() == 0
    FeedSource.objects.update(last_new_at=now - 49 * hour)
    assert (announce_quiet(), announce_quiet()) == (1, 0)
    (quiet,) = told("feed.quiet")
    assert (quiet["feed"], quiet["market"], quiet["expected_hours"]) == ("ounass", "default", 48)
    assert quiet["page"].endswith(f"/feed/{feed.pk}/change/")
    # It came, and is quiet again.
    FeedSource.objects.filter(pk=source.pk).update(quiet_told_at=now - 60 * hour)
    assert announce_quiet() == 1


def test_a_feed_of_which_nothing_is_expected_is_never_quiet(feed: Feed) -> None:
    FeedSource.objects.create(
        feed=feed, address="https://x.example/", expected_hours=None, created_at=timezone.now() - timedelta(days=99)
    )
    assert announce_quiet() == 0


def test_the_sweep_tells_of_quiet_feeds(feed: Feed) -> None:
    from catalog.tasks import sweep_runs

    FeedSource.objects.create(feed=feed, address="https://x.example/", last_new_at=timezone.now() - timedelta(days=3))
    sweep_runs()
    assert event_names() == ["feed.quiet"]


def test_runs_know_their_number(feed: Feed) -> None:
    run = planned(feed, *items(1))
    go_on(run)
    assert WebhookDelivery.objects.get().about == f"catalog.importrun:{ImportRun.objects.get().pk}"
