"""What must not work on the pages about one's own account: guessing who is here, old links, and ways to elsewhere."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.tests.conftest import PASSWORD
from accounts.tests.test_login import ELSEWHERE
from accounts.tests.test_pages import FORGOT, LOGIN, NEW, SIGN_UP, enter, link_in_mail, text
from accounts.tests.test_second_factor import CODE, code_now, protect

Worker = Callable[[], list[str]]
ADMIN = reverse("admin:index")


# --- who is here --------------------------------------------------------------------------------------
class CountingHasher(MD5PasswordHasher):
    hashed: list[str] = []  # for all of them

    def encode(self, password: str, salt: str) -> str:
        self.hashed.append(password)
        return str(super().encode(password, salt))


def work_of(page: str, form: dict[str, str]) -> tuple[int, int, list[str]]:
    """The status of the answer, the number of hashes, and what kinds of statements on which tables it took."""
    cache.clear()
    CountingHasher.hashed.clear()
    with CaptureQueriesContext(connection) as queries:
        answer = Client().post(page, form)
    statements = [query["sql"].split("WHERE")[0].split("VALUES")[0] for query in queries]
    kinds = [statement if "SAVEPOINT" not in statement else "savepoint" for statement in statements]
    return answer.status_code, len(CountingHasher.hashed), kinds


@pytest.mark.parametrize(
    ("page", "form"),
    [
        (LOGIN, {"username": "{}", "password": "wrong"}),
        (LOGIN, {"username": "{}@example.com", "password": "wrong"}),
        (FORGOT, {"email": "{}@example.com"}),
        (SIGN_UP, {"username": "n{}", "email": "{}@example.com", "password1": PASSWORD, "password2": PASSWORD}),
    ],
    ids=["name", "address", "forgotten", "sign-up"],
)
def test_a_page_does_the_same_work_whoever_is_named(carl: User, settings: Any, page: str, form: dict[str, str]) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    carl.set_password(PASSWORD)
    carl.save()
    known, unknown = (
        work_of(page, {name: given.format(who) for name, given in form.items()}) for who in ("carl", "nobody")
    )
    assert known == unknown


# --- old links ----------------------------------------------------------------------------------------
def test_an_old_link_sets_no_password(carl: User, worker: Worker) -> None:
    Client().post(FORGOT, {"email": carl.email})
    worker()
    client = Client()
    with time_machine.travel(timezone.localtime() + timedelta(minutes=61)):
        page = client.get(client.get(link_in_mail())["Location"])
        assert "password1" not in text(page)
        client.post(page.wsgi_request.path, {"password1": NEW, "password2": NEW})
    carl.refresh_from_db()
    assert carl.check_password(PASSWORD)


def test_an_old_or_used_link_confirms_no_address(db: None, settings: Any, worker: Worker) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    form = {"username": "dora", "email": "dora@example.com", "password1": PASSWORD, "password2": PASSWORD}
    Client().post(SIGN_UP, form)
    worker()
    link = link_in_mail()
    with time_machine.travel(timezone.localtime() + timedelta(days=3, minutes=1)):
        assert "Is dora@example.com the address of dora?" not in text(Client().get(link))
        Client().post(link)
    assert Client().post(LOGIN, {"username": "dora", "password": PASSWORD})["Location"] != ADMIN
    assert not EmailAddress.objects.get().verified
    assert Client().post(link).status_code == 302
    assert "Is dora@example.com the address of dora?" not in text(Client().get(link))


# --- elsewhere ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("target", ELSEWHERE)
def test_no_step_of_a_login_leads_elsewhere(vera: User, target: str) -> None:
    protect(vera)
    client = Client()
    page = client.get(reverse("admin:login"), {"next": target})["Location"]
    form = {"username": "vera", "password": PASSWORD, "next": target}
    assert client.post(page, form)["Location"] == CODE
    assert client.post(f"{CODE}?next={target}", {"code": code_now(), "next": target})["Location"] == ADMIN


@pytest.mark.parametrize("target", ELSEWHERE)
def test_typing_the_password_again_leads_nowhere_else(vera: User, target: str) -> None:
    answer = enter("vera").post(reverse("account_reauthenticate"), {"password": PASSWORD, "next": target})
    assert "evil" not in answer.get("Location", "")
    assert "alert" not in answer.get("Location", "")
