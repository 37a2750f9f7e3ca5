"""The pages about one's own account: what works, and who is refused."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.limits import MAILS_FROM, OLD_PASSWORD
from accounts.mails import write_requested
from accounts.models import LoginSession, User
from accounts.tests.conftest import PASSWORD, check, log_in, logged_in, make_person, post
from config.tests.problems import said
from notifications.models import Message

Worker = Callable[[], list[str]]
NEW = "a better horse battery"
LOGIN = reverse("account_login")
HOME = reverse("account_home")
EMAIL = reverse("account_email")
SESSIONS = reverse("usersessions_list")
FORGOT = reverse("account_reset_password")
CHANGE = reverse("account_change_password")
NEW_PASSWORDS = {"password1": NEW, "password2": NEW}


def enter(username: str, password: str = PASSWORD, **more: Any) -> Client:
    """A browser in which the person has just logged in by the page."""
    client = Client(**more)
    answer = client.post(LOGIN, {"username": username, "password": password})
    assert answer.status_code == 302, answer.content.decode()
    return client


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def link_in_mail(number: int = -1) -> str:
    """The path and query of the first link in the text of a mail."""
    address = re.findall(r"^https?://\S+$", str(mail.outbox[number].body), re.MULTILINE)[0]
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


# --- coming in ----------------------------------------------------------------------------------------
def test_the_admins_own_login_leads_to_the_page(vera: User) -> None:
    answer = Client().get(reverse("admin:login"), {"next": "/admin/catalog/feed/"})
    assert answer["Location"] == f"{LOGIN}?next=%2Fadmin%2Fcatalog%2Ffeed%2F"
    answer = Client().post(f"{LOGIN}?next=/admin/catalog/feed/", {"username": "vera", "password": PASSWORD})
    assert answer["Location"] == "/admin/catalog/feed/"
    assert enter("vera").get(reverse("admin:login"))["Location"] == reverse("admin:index")


def test_who_is_not_staff_gets_in_and_is_told_what_they_may_do_instead(carl: User) -> None:
    client = Client()
    assert client.post(LOGIN, {"username": "carl", "password": PASSWORD})["Location"] == HOME
    answer = client.get("/admin/", follow=True)
    assert answer.status_code == 403
    assert "You may not enter the admin" in text(answer)
    assert "through the API" in text(answer)
    assert client.get(HOME).status_code == 200


@pytest.mark.parametrize("page", [HOME, EMAIL, SESSIONS, CHANGE, reverse("account_set_password")])
def test_a_stranger_has_to_log_in(db: None, page: str) -> None:
    for answer in (Client().get(page), Client().post(page)):
        assert answer["Location"] == f"{LOGIN}?next={page}"


def test_logging_out_takes_a_click(vera: User) -> None:
    client = enter("vera")
    assert "You are logged in as vera" in text(client.get(reverse("account_logout")))
    assert client.get(HOME).status_code == 200
    assert client.post(reverse("account_logout"))["Location"] == LOGIN
    assert client.get(HOME).status_code == 302


def test_the_admins_way_out_leads_to_the_page(vera: User) -> None:
    client = enter("vera")
    assert client.post(reverse("admin:logout"))["Location"] == LOGIN


def test_somebody_unconfirmed_is_asked_to_confirm_and_not_let_in(db: None, settings: Any, worker: Worker) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    post("/signup/", {"username": "dora", "email": "dora@example.com", "password": PASSWORD})
    client = Client()
    for _ in range(4):  # and the last one sends no further mail
        answer = client.post(LOGIN, {"username": "dora", "password": PASSWORD})
        assert answer["Location"] == reverse("account_email_verification_sent")
    assert client.get(HOME).status_code == 302
    assert worker() == ["confirm_address"] * 4
    page = client.get(link_in_mail())
    assert "Is dora@example.com the address of dora?" in text(page)
    assert client.post(link_in_mail(0)).status_code == 302
    enter("dora")


def test_somebody_whom_staff_made_has_nothing_to_confirm(vera: User, settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    enter("vera")
    assert EmailAddress.objects.get(user=vera).verified


# --- signing up ---------------------------------------------------------------------------------------
SIGN_UP = reverse("account_signup")
DORA = {"username": "dora", "email": "Dora@Example.com", "password1": PASSWORD, "password2": PASSWORD}


def test_one_signs_up_in_the_browser_and_logs_in(db: None) -> None:
    answer = Client().post(SIGN_UP, DORA, follow=True)
    assert "Your account is made." in text(answer)
    enter("dora@example.com")
    assert not User.objects.get(username="dora").is_staff


def test_sign_up_follows_its_setting(db: None, settings: Any) -> None:
    settings.ACCOUNT_SIGNUP_OPEN = False
    for answer in (Client().get(SIGN_UP), Client().post(SIGN_UP, DORA)):
        assert answer.status_code == 403
        assert "Ask the people who run this site" in text(answer)
    assert not User.objects.exists()
    assert SIGN_UP not in text(Client().get(LOGIN))


def test_signing_up_with_a_known_address_answers_alike_and_mails_its_owner(
    carl: User, settings: Any, worker: Worker
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    known = Client().post(SIGN_UP, {**DORA, "email": "carl@example.com"})
    new = Client().post(SIGN_UP, {**DORA, "username": "nina"})
    assert (known.status_code, known["Location"]) == (new.status_code, new["Location"])
    assert worker() == ["already_known", "confirm_address"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"username": "CARL"}, "A user with that username already exists."),
        ({"email": "carl@example.com"}, "A user with that e-mail address already exists."),
        ({"password2": "another horse battery"}, "The two passwords are not the same."),
        ({"password1": "short", "password2": "short"}, "This password is too short."),
        ({"email": "no address"}, "Enter a valid email address."),
        ({"username": "a b"}, "Enter a valid username."),
    ],
)
def test_what_is_wrong_with_a_sign_up_is_said(carl: User, changed: dict[str, str], sentence: str) -> None:
    answer = Client().post(SIGN_UP, {**DORA, **changed})
    assert answer.status_code == 200
    assert sentence in text(answer)
    assert User.objects.count() == 1


def test_of_two_who_sign_up_at_once_the_second_is_told(carl: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(User, "validate_constraints", lambda self, exclude=None: None)
    assert "Somebody else has just taken" in text(Client().post(SIGN_UP, {**DORA, "username": "carl"}))


def test_whoever_is_logged_in_has_an_account(carl: User) -> None:
    assert enter("carl").get(SIGN_UP)["Location"] == HOME


# --- forgotten passwords ------------------------------------------------------------------------------
def ask_for_link(email: str = "carl@example.com", **headers: Any) -> Any:
    return Client().post(FORGOT, {"email": email}, **headers)


def test_a_forgotten_password_is_set_by_the_link(carl: User, worker: Worker) -> None:
    tokens, other = log_in(), enter("carl")
    ask_for_link()
    assert worker() == ["password_reset"]
    client = Client()
    page = client.get(link_in_mail())
    assert "key=" not in page["Location"], "the key is in no address that a page names"
    assert client.get(page["Location"]).status_code == 200
    answer = client.post(page["Location"], NEW_PASSWORDS, follow=True)
    assert "Your password is set. Log in." in text(answer)
    assert check(tokens["access"]) == 401
    assert other.get(HOME).status_code == 302
    enter("carl", NEW)
    assert worker() == ["password_changed"]


def test_a_link_works_once_and_for_its_owner_alone(carl: User, olga: User, worker: Worker) -> None:
    ask_for_link()
    worker()
    link, client = link_in_mail(), Client()
    client.post(client.get(link)["Location"], NEW_PASSWORDS)
    for again in (link, link.replace(str(carl.pk), str(olga.pk)), link[:-3], link.replace(str(carl.pk), "x")):
        client = Client()
        answer = client.get(again, follow=True)
        assert "This link does not work" in text(answer)
        page = answer.redirect_chain[-1][0]
        assert "This link does not work" in text(client.post(page, NEW_PASSWORDS))
    olga.refresh_from_db()
    assert olga.check_password(PASSWORD)


def test_a_link_of_somebody_deactivated_is_refused(carl: User, worker: Worker) -> None:
    ask_for_link()
    worker()
    User.objects.filter(pk=carl.pk).update(is_active=False)
    assert "This link does not work" in text(Client().get(link_in_mail(), follow=True))


def test_a_weak_new_password_is_refused_on_the_page(carl: User, worker: Worker) -> None:
    ask_for_link()
    worker()
    client = Client()
    page = client.get(link_in_mail())["Location"]
    assert "too short" in text(client.post(page, {"password1": "short", "password2": "short"}))
    assert "same password" in text(client.post(page, {"password1": NEW, "password2": "x"}))


@pytest.mark.parametrize("email", ["carl@example.com", "unknown@example.com"])
def test_asking_for_a_link_answers_alike_and_looks_nothing_up(carl: User, email: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        answer = ask_for_link(email)
    assert (answer.status_code, answer["Location"]) == (302, reverse("account_reset_password_done"))
    assert [query["sql"].split()[2] for query in queries if query["sql"].startswith("INSERT")] == [
        '"accounts_mailrequest"'
    ]
    assert not [query for query in queries if "FROM" in query["sql"]]


def test_links_have_the_same_limits_as_the_apis_mails(carl: User) -> None:
    for _ in range(3):
        assert post("/password/reset/", {"email": "carl@example.com"}).status_code == 200
    answer = ask_for_link(HTTP_ACCEPT="text/html")
    assert (answer.status_code, int(answer["Retry-After"]) > 0) == (429, True)
    assert "Too many tries" in text(answer)
    answers = [ask_for_link(f"p{number}@example.com").status_code for number in range(MAILS_FROM.times)]
    assert answers[-1] == 429


def test_the_call_is_for_people_who_have_never_used_a_browser(carl: User, vera: User, worker: Worker) -> None:
    for email in ("carl@example.com", "vera@example.com"):
        ask_for_link(email)
    worker()
    assert ["curl" in str(message.body) for message in mail.outbox] == [True, False]
    enter("carl")
    ask_for_link()
    worker()
    sent: Any = mail.outbox[-1]
    assert "curl" not in sent.body + sent.alternatives[0].content
    assert f'href="http://localhost:8000{link_in_mail().replace("&", "&amp;")}"' in sent.alternatives[0].content


# --- changing the password ----------------------------------------------------------------------------
def test_a_changed_password_ends_every_other_login_and_warns_the_owner(carl: User, worker: Worker) -> None:
    tokens, other, client = log_in(), enter("carl"), enter("carl")
    answer = client.post(CHANGE, {"oldpassword": PASSWORD, **NEW_PASSWORDS}, follow=True)
    assert "Your password is changed." in text(answer)
    assert client.get(HOME).status_code == 200
    assert other.get(HOME).status_code == 302
    assert check(tokens["access"]) == 401
    assert worker() == ["password_changed"]


def test_tries_of_the_old_password_are_counted_with_the_apis(carl: User) -> None:
    client = enter("carl")
    wrong = {"oldpassword": "wrong", **NEW_PASSWORDS}
    for _ in range(OLD_PASSWORD.times):
        assert "This is not your password." in text(client.post(CHANGE, wrong))
    assert client.post(CHANGE, {**wrong, "oldpassword": PASSWORD}).status_code == 429
    carl.refresh_from_db()
    assert carl.check_password(PASSWORD)


def test_the_admins_own_page_for_it_leads_here(vera: User) -> None:
    assert enter("vera").get(reverse("admin:password_change"))["Location"] == CHANGE


def test_somebody_without_a_password_sets_one(carl: User) -> None:
    carl.set_unusable_password()
    carl.save()
    client = logged_in(carl)
    page = reverse("account_set_password")
    assert client.get(CHANGE)["Location"] == page
    assert client.get(page).status_code == 200
    assert client.post(page, NEW_PASSWORDS).status_code == 302
    enter("carl", NEW)


# --- changing the address -----------------------------------------------------------------------------
def change_address(client: Client, address: str = "new@example.com") -> Any:
    return client.post(EMAIL, {"email": address}, follow=True)


def test_a_new_address_is_confirmed_and_the_old_one_told(carl: User, worker: Worker) -> None:
    client = enter("carl")
    assert "We have sent you an e-mail to confirm your new address." in text(change_address(client))
    assert worker() == ["confirm_new_address"]
    assert mail.outbox[0].to == ["new@example.com"]
    carl.refresh_from_db()
    assert carl.email == "carl@example.com", "nothing changes until the new address says so"
    link = link_in_mail()
    assert client.get(link).status_code == 200
    assert "new@example.com is confirmed." in text(client.post(link, follow=True))
    carl.refresh_from_db()
    assert carl.email == "new@example.com"
    assert worker() == ["address_changed"]
    assert mail.outbox[-1].to == ["carl@example.com"]
    assert "now has the address new@example.com" in str(mail.outbox[-1].body)
    enter("new@example.com")
    assert Client().post(LOGIN, {"username": "carl@example.com", "password": PASSWORD}).status_code == 200
    assert "This link does not work" in text(client.get(link))
    assert "This link does not work" in text(client.post(link))


def test_a_username_that_is_the_address_goes_with_it(db: None, worker: Worker) -> None:
    person = User.objects.create_user("ann@example.com", "ann@example.com", PASSWORD)
    client = enter("ann@example.com")
    change_address(client)
    worker()
    client.post(link_in_mail())
    person.refresh_from_db()
    assert (person.username, person.email) == ("new@example.com", "new@example.com")


def test_an_address_that_somebody_has_is_not_told_and_not_taken(carl: User, olga: User, worker: Worker) -> None:
    client = enter("carl")
    answers = [text(change_address(client, address)) for address in ("olga@example.com", "free@example.com")]
    assert all("We have sent you an e-mail to confirm your new address." in answer for answer in answers)
    worker()
    assert [(message.name, message.address) for message in Message.objects.order_by("told_at")] == [
        ("already_known", "olga@example.com"),
        ("confirm_new_address", "free@example.com"),
    ]
    User.objects.filter(pk=olga.pk).update(email="free@example.com")
    assert "free@example.com cannot be used." in text(client.post(link_in_mail(), follow=True))
    carl.refresh_from_db()
    assert carl.email == "carl@example.com"


def test_a_change_can_be_taken_back(carl: User, worker: Worker) -> None:
    client = enter("carl")
    change_address(client)
    write_requested()
    assert "Your address stays as it is." in text(client.post(EMAIL, {"forget": "1"}, follow=True))
    assert worker() == [], "and its mail is no longer needed"
    assert EmailAddress.objects.get(user=carl).email == "carl@example.com"


def test_the_key_of_a_change_confirms_through_the_api_too(carl: User, worker: Worker) -> None:
    client = enter("carl")
    change_address(client)
    key = EmailConfirmationHMAC.create(EmailAddress.objects.get(email="new@example.com")).key
    assert post("/signup/verify-email/", {"key": key}).status_code == 200
    carl.refresh_from_db()
    assert carl.email == "new@example.com"
    change_address(client, "olga@example.com")
    key = EmailConfirmationHMAC.create(EmailAddress.objects.get(email="olga@example.com")).key
    make_person("olga")
    assert said(post("/signup/verify-email/", {"key": key})) == {
        "key": ["The key is not valid, or no longer. Ask for a new e-mail."]
    }


def test_an_open_browser_is_not_enough_to_change_the_address(carl: User, worker: Worker) -> None:
    client = logged_in(carl)  # without a password, some time ago
    answer = client.post(EMAIL, {"email": "new@example.com"})
    page = reverse("account_reauthenticate")
    assert answer["Location"].startswith(page)
    assert not EmailAddress.objects.filter(email="new@example.com").exists()
    assert "The password is wrong." in text(client.post(answer["Location"], {"password": "wrong"}))
    client.post(answer["Location"], {"password": PASSWORD})
    assert EmailAddress.objects.filter(email="new@example.com").exists()


@pytest.mark.parametrize("address", ["carl@example.com", "no address", ""])
def test_an_address_that_is_none_is_refused(carl: User, address: str) -> None:
    client = enter("carl")
    client.post(EMAIL, {"email": address})
    assert not EmailAddress.objects.exclude(email="carl@example.com").exists()


def test_one_address_is_not_flooded_by_changes(carl: User) -> None:
    client = enter("carl")
    assert [client.post(EMAIL, {"email": "new@example.com"}).status_code for _ in range(4)] == [302] * 3 + [429]


# --- logins -------------------------------------------------------------------------------------------
def test_one_sees_and_ends_ones_logins(carl: User, olga: User) -> None:
    here = enter("carl", HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    there, hers, tokens = enter("carl"), enter("olga"), log_in()
    page = text(here.get(SESSIONS))
    assert "Firefox on Linux" in page
    assert "this browser" in page
    assert "An unnamed program" in page
    login = LoginSession.objects.get(user=carl)
    assert here.post(SESSIONS, {"end": str(login.pk)}, follow=True).status_code == 200
    assert check(tokens["access"]) == 401
    assert there.get(HOME).status_code == 200
    here.post(SESSIONS, {"end": "others"})
    assert there.get(HOME).status_code == 302
    assert hers.get(HOME).status_code == here.get(HOME).status_code == 200


def test_nobody_ends_anothers_login(carl: User, olga: User) -> None:
    client, hers, tokens = enter("carl"), enter("olga"), log_in("olga")
    for end in (str(LoginSession.objects.get(user=olga).pk), *map(str, range(20)), "", "x"):
        client.post(SESSIONS, {"end": end})
    assert hers.get(HOME).status_code == 200
    assert check(tokens["access"]) == 200


def test_ending_ones_own_login_logs_out(carl: User) -> None:
    client = enter("carl")
    (end,) = re.findall(r'name="end" value="(\d+)"', client.get(SESSIONS).content.decode())
    assert client.post(SESSIONS, {"end": end})["Location"] == LOGIN
    assert client.get(HOME).status_code == 302
