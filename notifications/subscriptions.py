"""Who is told what: superusers everything, other staff what they asked for, and nobody what they declined."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from notifications.kinds import FAILURE_DIGEST, KINDS, Kind
from notifications.models import Digest, Preference

# Somebody's first digest reaches back so far, but not to before they joined.
FIRST_DIGEST = timedelta(days=7)


def listeners(name: str, also: AbstractUser | None = None) -> list[Any]:
    """Everybody to be told `name`: the staff who listen, and `also`, whose own doing it is about, unless declined."""
    told = [person for person in _may_know(name) if wants(person, name)]
    if also is not None and also.is_active and also not in told and not has_declined(also, name):
        told.append(also)
    return told


def _may_know(name: str) -> QuerySet[Any]:
    """Active staff with the message's permission."""
    people = get_user_model()._default_manager
    staff = Q(is_staff=True) | Q(is_superuser=True)
    return people.with_perm(KINDS[name].permission).filter(staff).select_related("mail_preference").order_by("pk")


def wants(person: Any, name: str) -> bool:
    """What a member of staff's choices come to: superusers are told unless they declined, others when they asked."""
    preference = getattr(person, "mail_preference", None)
    return bool((preference.choices if preference else {}).get(name, person.is_superuser))


def has_declined(person: Any, name: str) -> bool:
    preference = Preference.objects.filter(person_id=person.pk).first()
    if preference is None:
        return False
    return preference.digest == Digest.OFF if name == FAILURE_DIGEST else preference.choices.get(name) is False


@transaction.atomic
def decline(person: Any, name: str) -> None:
    """Tell the person `name` no more."""
    preference = locked_preference_of(person)
    if name == FAILURE_DIGEST:
        preference.digest = Digest.OFF
    else:
        preference.choices[name] = False
    preference.save(update_fields=["digest", "choices"])


def locked_preference_of(person: Any) -> Preference:
    """The person's preference, for nobody else to change until the transaction ends; a digest may be on its way."""
    preference_of(person)
    return Preference.objects.select_for_update().get(person_id=person.pk)


def preference_of(person: Any) -> Preference:
    """The person's preference, made when there is none: a superuser's digest comes every day."""
    preference, _made = Preference.objects.get_or_create(
        person=person,
        defaults={
            "digest": Digest.DAILY if person.is_superuser else Digest.OFF,
            "time_zone": settings.TIME_ZONE,
            "digested_until": max(person.date_joined, timezone.now() - FIRST_DIGEST),
        },
    )
    return preference


def kinds_for(person: AbstractUser) -> list[Kind]:
    """What the person may choose from, the digest apart."""
    return [kind for kind in KINDS.values() if person.has_perm(kind.permission)]
