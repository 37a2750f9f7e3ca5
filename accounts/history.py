"""Who logged in, from where and how, and whose try was refused. The owner reads it, and is told of a new device."""

import logging
import re
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.limits import address_of, client_address
from accounts.mails import write_mail
from accounts.models import KnownAddress, LoginRecord, User
from events.log import log_event

MAX_USER_AGENT_CHARS = 200
# The first that fits: each of the later ones names itself as the earlier ones, too.
BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
SYSTEMS = (
    ("iPhone|iPad", "iOS"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)
WAYS = {
    "password": _("password"),
    "openid": _("OpenID"),
    "totp": _("code of an app"),
    "recovery_codes": _("recovery code"),
    "webauthn": _("passkey"),
    "key": _("API key"),
}
PLACES = {"browser": _("browser"), "api": _("API")}
REFUSALS = {
    "wrong_password": _("wrong password"),
    "wrong_code": _("wrong code"),
    "deactivated": _("the account is deactivated"),
    "password_off": _("passwords are off for this account"),
    "openid_other_person": _("OpenID says it is another person"),
    "unconfirmed": _("the address is not confirmed"),
    "no_second_factor": _("the second factor is missing"),
}
# They come before the password is looked at, and would let a stranger fill the history.
TOLD_IN_THE_LOG_ONLY = ("too_many_tries", "not_counted")


@transaction.atomic
def note_login(request: HttpRequest, person: User, ways: Iterable[str], *, to: str) -> None:
    """Somebody has proved who they are: keep it, know the device, and mail the owner where it is a new one.

    A device is an address with a browser's name. The very first login of a person is no news to them.
    """
    was_here = (
        LoginRecord.objects.filter(user=person, refused="").exclude(how="key").exists()
        or KnownAddress.objects.filter(user=person).exists()
    )
    agent = user_agent_of(request)
    is_new = KnownAddress.remember(person, address_of(request), browser_name(agent))
    record = LoginRecord.objects.create(
        user=person, to=to, how=",".join(dict.fromkeys(ways)), address=client_address(request), user_agent=agent
    )
    LoginRecord.drop_beyond(LoginRecord.MAX_LOGINS, user=person, refused="")
    log_event("login", by=person, to=to, how=record.how, new_device=is_new and was_here)
    if is_new and was_here:
        facts = {
            "when": record.at,
            "where": record.address,
            "browser": browser_name(agent),
            "how": how_in_words(record),
        }
        write_mail("new_device", person, **facts)


def note_refusal(reason: str, person: User | None = None, request: HttpRequest | None = None) -> None:
    """Log the refusal, never with the name that was typed: people type passwords there, too.

    The statements are the same for a name that nobody has, so that their time tells nothing.
    """
    log_event("login_refused", by=person, level=logging.WARNING, reason=reason)
    if request is None or reason in TOLD_IN_THE_LOG_ONLY:
        return
    with transaction.atomic():
        LoginRecord.objects.create(
            user=person,
            to="browser" if isinstance(request, HttpRequest) else "api",
            refused=reason,
            address=client_address(request),
            user_agent=user_agent_of(request),
        )
        LoginRecord.drop_beyond(LoginRecord.MAX_REFUSED if person else 0, user=person, refused__gt="")


@transaction.atomic
def note_key(request: HttpRequest, owner: User) -> None:
    """A key of the owner's was used from another address than the last time. That is no login of a person."""
    address, agent = client_address(request), user_agent_of(request)
    LoginRecord.objects.create(user=owner, to="api", how="key", address=address, user_agent=agent)
    LoginRecord.drop_beyond(LoginRecord.MAX_KEY_USES, user=owner, how="key")


def user_agent_of(request: Any) -> str:
    return str(request.META.get("HTTP_USER_AGENT", ""))[:MAX_USER_AGENT_CHARS]


def browser_name(user_agent: str) -> str:
    """“Firefox on Linux”, as far as the browser says."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "")
    system = next((name for marks, name in SYSTEMS if re.search(marks, user_agent)), "")
    return " on ".join(filter(None, [browser or "A program" if user_agent else "An unnamed program", system]))


def browser_of(request: HttpRequest) -> str:
    return browser_name(user_agent_of(request))


def how_in_words(record: LoginRecord) -> str:
    """“password, code of an app (browser)”; of a refused try, why."""
    words = [str(REFUSALS.get(record.refused, record.refused))] if record.refused else []
    words += [str(WAYS.get(way, way)) for way in filter(None, record.how.split(","))]
    return f"{', '.join(words)} ({PLACES.get(record.to, record.to)})"


def history_of(person: User) -> list[tuple[LoginRecord, int]]:
    """The newest first; the same refusal again and again is one line, with how often."""
    records = LoginRecord.objects.filter(user=person).order_by("-at", "-pk")

    def likeness(record: LoginRecord) -> Any:
        return (record.refused, record.address, record.user_agent, record.to) if record.refused else record.pk

    return [(group[0], len(group)) for _same, found in groupby(records, likeness) if (group := list(found))]


def forget_old_records() -> None:
    """Delete what is older than 90 days, but for each person's last login."""
    last = LoginRecord.objects.filter(refused="").order_by("user", "-at").distinct("user").values("pk")
    LoginRecord.objects.filter(at__lt=timezone.now() - LoginRecord.LIFETIME).exclude(pk__in=last).delete()
