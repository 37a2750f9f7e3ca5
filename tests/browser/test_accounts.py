"""One person's account from the invitation to the last logout, on the pages and in the mails, as people meet them."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
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
    """Fill the form and send it, having looked at the page; then there is another one."""
    for name, value in fields.items():
        page.fill(f"[name={name}]", value)
    assert_accessible(page)
    page.evaluate("document.documentElement.dataset.left = ''")
    page.get_by_role("button", name=button, exact=True).click()
    page.locator("html:not([data-left])").wait_for(state="attached")
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


@pytest.fixture(scope="module")
def openid_server() -> Iterator[str]:
    """A real provider in a process of its own, whose people are put there by `know`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce"])
    address = f"http://localhost:{port}"
    for _ in range(120):
        try:
            requests.get(f"{address}/jwks", timeout=5)
            break
        except requests.ConnectionError:
            time.sleep(0.5)
    yield address
    server.terminate()
    server.wait()


def know(server: str, sub: str, **claims: Any) -> None:
    requests.put(f"{server}/users/{sub}", json=claims, timeout=5).raise_for_status()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_people_come_in_by_a_real_openid_provider(
    chromium: Browser, live_server: Any, openid_server: str, settings: Any, size: tuple[int, int], scheme: Any
) -> None:
    site = live_server.url.replace("127.0.0.1", "localhost")
    settings.SITE_URL, settings.OPENID_SERVER, settings.OPENID_NAME = site, openid_server, "Keycloak"
    settings.OPENID_CLIENT_ID, settings.OPENID_CLIENT_SECRET = "catalogue", "secret"
    settings.OPENID_DOMAINS, settings.OPENID_PASSWORD_LOGIN = ["example.com"], False
    mona = make_person("mona", "manager", is_staff=True, first_name="Mona", last_name="Lisa")
    invite("dora@example.com", Group.objects.get(name="viewer"), by=mona)
    know(openid_server, "dora", email="dora@example.com", email_verified=True, given_name="Dora")
    know(openid_server, "nina", email="nina@example.com", email_verified=True)
    know(openid_server, "evil", email="mona@example.com", email_verified=False)
    viewport: Any = {"width": size[0], "height": size[1]}

    def at_provider(sub: str) -> Page:
        page = chromium.new_context(base_url=site, viewport=viewport, color_scheme=scheme).new_page()
        page.goto("/accounts/login/?next=/admin/")
        assert_accessible(page)
        page.get_by_role("link", name="Log in with Keycloak").click()
        page.fill("[name=sub]", sub)
        page.get_by_role("button", name="Authorize").click()
        page.wait_for_url(f"{site}/**")
        assert_accessible(page)
        return page

    nina = at_provider("nina")
    expect(nina.get_by_role("heading", name="You have no rights here yet")).to_be_visible()
    expect(nina.get_by_role("link", name="mona@example.com")).to_be_visible()
    nina.goto("/accounts/history/")
    expect(nina.get_by_text("OpenID (browser)")).to_be_visible()
    assert_accessible(nina)

    evil = at_provider("evil")
    expect(evil.get_by_text("Keycloak has not confirmed that mona@example.com is yours.")).to_be_visible()

    denied = chromium.new_context(base_url=site, viewport=viewport, color_scheme=scheme).new_page()
    denied.goto("/accounts/openid/")
    denied.get_by_role("button", name="Deny").click()
    expect(denied.get_by_text("Keycloak did not let you in, or you gave up there.")).to_be_visible()

    dora = chromium.new_context(base_url=site, viewport=viewport, color_scheme=scheme).new_page()
    dora.goto(link_in_mail("You are invited"))
    assert_accessible(dora)
    dora.get_by_role("link", name="Accept it with Keycloak").click()
    dora.fill("[name=sub]", "dora")
    dora.get_by_role("button", name="Authorize").click()
    expect(dora).to_have_url(f"{site}/admin/")
    assert User.objects.get(email="dora@example.com").groups.get().name == "viewer"

    # Setting up a first factor asks for a fresh login there.
    dora.goto("/accounts/second-factor/app/")
    dora.fill("[name=sub]", "dora")
    dora.get_by_role("button", name="Authorize").click()
    secret = dora.inner_text("#authenticator_secret")
    submit(dora, "Turn it on", code=format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
    again = at_provider("dora")
    expect(again.get_by_role("heading", name="Second factor")).to_be_visible()
    submit(again, "Log in", code=format_hotp_value(hotp_value(secret, int(time.time()) // 30 + 1)))
    expect(again).to_have_url(f"{site}/admin/")
    for page in (nina, evil, denied, dora, again):
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
