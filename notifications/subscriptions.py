"""Who gets which message: superusers all, other staff those of their role or their choice, nobody one they declined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core import signing
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from notifications.models import Digest, Message, Preference
from notifications.rendering import public_url

# --- what there is to choose from -----------------------------------------------------------------
FAILURE_DIGEST = "failure_digest"


@dataclass(frozen=True)
class Kind:
    """A message by the name of its folder, in the words that people choose by.

    Nobody gets a message about what they may not look at: `permission` is what one needs to get it. Until a person
    chooses, their choice about the message `like` holds; without that, who has the permission `default_for` gets it.
    """

    name: str
    label: Any
    help: Any
    permission: str
    like: str = ""
    default_for: str = ""


KINDS: dict[str, Kind] = {}  # each app registers its own


def register_kinds(*kinds: Kind) -> None:
    """Let people choose these messages. Call it when the app is ready."""
    KINDS.update({kind.name: kind for kind in kinds})


def kinds_for(person: AbstractUser) -> list[Kind]:
    """What the person may choose from, apart from the digest."""
    return [kind for kind in KINDS.values() if person.has_perm(kind.permission)]


# Messages about a person's own account: nobody chooses or stops them. Each with what makes its secret, when it is sent.
# None says that the message is no longer needed.
NECESSARY: dict[str, Callable[[Any], str | None]] = {}


def register_necessary(name: str, make_secret: Callable[[Any], str | None] = lambda _person: "") -> None:
    """Let this message be sent to people about their own account. Call it when the app is ready."""
    NECESSARY[name] = make_secret


# Messages to an address, whoever has it now: an old address, a new one, or somebody who has no account yet. Each with
# what makes its secret, when it is sent; None says that the message is no longer needed.
LETTERS: dict[str, Callable[[Message], str | None]] = {}


def register_letter(name: str, make_secret: Callable[[Message], str | None] = lambda _message: "") -> None:
    """Let this message be sent to an address. Call it when the app is ready."""
    LETTERS[name] = make_secret


def can_be_stopped(name: str) -> bool:
    return name not in NECESSARY and name not in LETTERS


def secret_of(person: AbstractUser, name: str) -> str | None:
    """What a mail says where its stored text has `HIDDEN`. None when nobody needs the mail any more."""
    return NECESSARY[name](person) if name in NECESSARY else stop_token(person, name)


def label_of(name: str) -> Any:
    if name == FAILURE_DIGEST:
        return _("Digest of problems")
    return KINDS[name].label if name in KINDS else name.replace("_", " ").capitalize()


# --- who gets it ----------------------------------------------------------------------------------
# The first digest reaches back this far, but not to before the person joined.
FIRST_DIGEST = timedelta(days=7)


def recipients_of(name: str, also: AbstractUser | None = None) -> list[Any]:
    """The staff who want the message `name`, and `also`, whose own doing it is about, unless declined."""
    with_permission = get_user_model()._default_manager.with_perm(KINDS[name].permission)
    staff = with_permission.filter(Q(is_staff=True) | Q(is_superuser=True)).select_related("mail_preference")
    people: list[Any] = [person for person in staff.order_by("pk") if wants_message(person, name)]
    if also is not None and also.is_active and also not in people and not has_declined(also, name):
        people.append(also)
    return people


def wants_message(person: Any, name: str) -> bool:
    """What a member of staff chose. Without a choice, superusers want every message, others those of their role."""
    preference = getattr(person, "mail_preference", None)
    choices = preference.choices if preference else {}
    kind = KINDS.get(name)
    choice = choices.get(name, choices.get(kind.like if kind else ""))
    if choice is None:
        return bool(person.is_superuser or (kind and kind.default_for and person.has_perm(kind.default_for)))
    return bool(choice)


def has_declined(person: Any, name: str) -> bool:
    preference = Preference.objects.filter(person_id=person.pk).first()
    if preference is None:
        return False
    return preference.digest == Digest.OFF if name == FAILURE_DIGEST else preference.choices.get(name) is False


@transaction.atomic
def decline_message(person: Any, name: str) -> None:
    """Send the person `name` no more."""
    preference = locked_preference_of(person)
    if name == FAILURE_DIGEST:
        preference.digest = Digest.OFF
    else:
        preference.choices[name] = False
    preference.save(update_fields=["digest", "choices"])


def locked_preference_of(person: Any) -> Preference:
    """The person's preference, locked until the transaction ends, because a digest may be on its way."""
    preference_of(person)
    return Preference.objects.select_for_update().get(person_id=person.pk)


def preference_of(person: Any) -> Preference:
    """The person's preference, made if there is none: a superuser's digest comes every day."""
    preference, _made = Preference.objects.get_or_create(
        person=person,
        defaults={
            "digest": Digest.DAILY if person.is_superuser else Digest.OFF,
            "time_zone": settings.TIME_ZONE,
            "digested_until": max(person.date_joined, timezone.now() - FIRST_DIGEST),
        },
    )
    return preference


# --- stopping it from a mail ----------------------------------------------------------------------
_SALT = "notifications.stop_mail"  # another one than in 1.0, whose tokens stand in logs
STOP_TOKEN_LIFETIME = timedelta(days=90)  # laws ask for 30 days at least


def stop_token(person: AbstractUser, name: str) -> str:
    return signing.dumps([str(person.pk), name], salt=_SALT, compress=True)


def stop_url(token: str) -> str:
    """Where the person, and anyone the mail was passed on to, can stop a message.

    The token is in the query, which no log of ours has. A fragment would not reach us: mail programs post here, too.
    """
    return f"{public_url(reverse('stop-mail'))}?token={token}"


def read_stop_token(token: str) -> tuple[AbstractUser, str] | None:
    """The person and the message to stop; None when the token is not ours or has expired, or the person is gone."""
    try:
        pk, name = signing.loads(token, salt=_SALT, max_age=STOP_TOKEN_LIFETIME)
    except signing.BadSignature:
        return None
    person = get_user_model()._default_manager.filter(pk=pk).first()
    return (person, name) if person else None


def stop_headers(token: str) -> dict[str, str]:
    """Headers that let a mail program offer the same with one click (RFC 8058)."""
    return {
        "List-Unsubscribe": f"<{stop_url(token)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
