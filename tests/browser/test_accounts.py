"""One person's account from the invitation to the last logout, on the pages and in the mails, as people meet them."""

import re
import time
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import Group
from django.core import mail
from playwright.sync_api import Browser, Page, expect

from accounts.invitations import invite
from accounts.models import User
from accounts.tests.conftest import make_person
from notifications.tasks import deliver_messages
from tests.browser.conftest import DESKTOP, PHONE

PASSWORD, NEW = "correct horse battery", "a better horse battery"


def link_in_mail(name: str) -> str:
    """The path and query of the link in the newest mail, which has this subject."""
    deliver_messages()
    message = mail.outbox[-1]
    assert name in message.subject
    return str(re.findall(r"https?://[^/\s]+(/accounts/\S+)", str(message.body))[0])


def assert_accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert not serious, [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in serious]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
        "no page is wider than the screen"
    )


def submit(page: Page, button: str, **fields: str) -> None:
    """Fill the form and send it, having looked at the page."""
    for name, value in fields.items():
        page.fill(f"[name={name}]", value)
    assert_accessible(page)
    page.get_by_role("button", name=button, exact=True).click()
    page.wait_for_load_state()


@pytest.mark.django_db(transaction=True)
def test_a_passkey_is_a_second_factor_and_a_login_of_its_own(chromium: Browser, live_server: Any) -> None:
    make_person("vera", "viewer", is_staff=True)
    site = live_server.url.replace("127.0.0.1", "localhost")  # an address of numbers can hold no passkeys
    page = chromium.new_context(base_url=site).new_page()
    device = page.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    device.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, "isUserVerified": True}})

    page.goto("/accounts/login/")
    submit(page, "Log in", username="vera", password="correct horse battery")
    page.goto("/accounts/second-factor/passkeys/add/")
    page.check("[name=passwordless]")
    submit(page, "Add the passkey")
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.goto("/accounts/second-factor/passkeys/")
    assert_accessible(page)

    page.context.clear_cookies()
    page.goto("/accounts/login/")
    submit(page, "Log in", username="vera", password="correct horse battery")
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    submit(page, "Use a passkey")
    expect(page).to_have_url(f"{site}/admin/")

    page.context.clear_cookies()
    page.goto("/accounts/login/")
    submit(page, "Log in with a passkey")
    expect(page).to_have_url(f"{site}/admin/")
    page.context.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_a_person_from_invitation_to_ended_session(
    chromium: Browser, live_server: Any, size: tuple[int, int], scheme: Any
) -> None:
    mona = make_person("mona", "manager", is_staff=True)
    invite("dora@example.com", Group.objects.get(name="approver"), by=mona)
    viewport: Any = {"width": size[0], "height": size[1]}

    def browser() -> Page:
        context = chromium.new_context(base_url=live_server.url, viewport=viewport, color_scheme=scheme)
        return context.new_page()

    here = browser()
    here.goto(link_in_mail("You are invited"))
    submit(here, "Accept the invitation", username="dora", password1=PASSWORD, password2=PASSWORD)
    expect(here).to_have_url(f"{live_server.url}/admin/")

    here.goto("/accounts/second-factor/app/")
    secret = here.inner_text("#authenticator_secret")
    submit(here, "Turn it on", code=format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
    code = here.locator("code").first.inner_text()
    assert_accessible(here)

    there = browser()
    there.goto("/accounts/password/reset/")
    submit(there, "Send me the link", email="dora@example.com")
    there.goto(link_in_mail("Set a new password"))
    submit(there, "Set the password", password1=NEW, password2=NEW)
    submit(there, "Log in", username="dora", password=NEW)
    submit(there, "Log in", code=code)
    expect(there).to_have_url(f"{live_server.url}/admin/")
    here.goto("/accounts/")
    expect(here.get_by_role("heading", name="Log in")).to_be_visible()  # the new password ended what was before
    submit(here, "Log in", username="dora", password=NEW)
    submit(here, "Log in", code=format_hotp_value(hotp_value(secret, int(time.time()) // 30 + 1)))

    there.goto("/accounts/email/")
    submit(there, "Ask the new address", email="new@example.com")
    there.goto(link_in_mail("Confirm your new e-mail address"))
    submit(there, "Yes, confirm it")
    assert User.objects.get(username="dora").email == "new@example.com"

    there.goto("/accounts/sessions/")
    submit(there, "End all others")
    expect(there.get_by_text("All other logins have ended.")).to_be_visible()
    here.goto("/accounts/")
    expect(here.get_by_role("heading", name="Log in")).to_be_visible()
    for page in (here, there):
        page.context.close()
