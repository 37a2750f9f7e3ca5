"""E-mail addresses of people: which are confirmed, and how one takes another's place."""

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction

from accounts.mails import request_mail, write_letter_to_old_address
from accounts.models import User
from events.log import log_event


def is_unconfirmed(person: User) -> bool:
    """Whether the person was asked to confirm their address and has not."""
    return bool(EmailAddress.objects.filter(user=person, email=person.email, verified=False).exists())


def trust_address(person: User) -> None:
    """Call the person's address confirmed. Addresses that were confirmed before, or wait, are gone."""
    with transaction.atomic():
        EmailAddress.objects.filter(user=person).exclude(email=person.email).delete()
        EmailAddress.objects.update_or_create(
            user=person, email=person.email, defaults={"primary": True, "verified": True}
        )


def note_address(person: User) -> None:
    """Give the person the row that allauth looks for: only somebody who signed up waits to confirm it, and has one."""
    EmailAddress.objects.get_or_create(user=person, email=person.email, defaults={"primary": True, "verified": True})


def waiting_address(person: User) -> EmailAddress | None:
    """The address that the person wants instead of the present one, and has not confirmed yet."""
    waiting = EmailAddress.objects.filter(user=person, verified=False).exclude(email=person.email)
    return waiting.order_by("pk").last()


def request_change(person: User, email: str) -> None:
    """Ask the new address whether it is the person's. The answer is the same if somebody else has it."""
    with transaction.atomic():
        forget_change(person)
        EmailAddress.objects.create(user=person, email=email)
        request_mail("confirm_new_address", email)


def forget_change(person: User) -> None:
    EmailAddress.objects.filter(user=person).exclude(email=person.email).delete()


def confirm_address(address: EmailAddress) -> bool:
    """The owner has read the mail. A new address takes the old one's place, which is told; False if it may not."""
    try:
        with transaction.atomic():
            return _confirm_locked(address)
    except IntegrityError:  # somebody else has it by now
        return False


def _confirm_locked(address: EmailAddress) -> bool:
    person = User.objects.select_for_update().get(pk=address.user_id)
    if not EmailAddress.objects.filter(pk=address.pk, verified=False).exists():
        return False
    if address.email != person.email:
        old = person.email
        if person.username.lower() == old:
            person.username = address.email  # a name with an @ is one's own address
        person.email = address.email
        person.save(update_fields=["username", "email"])
        write_letter_to_old_address(person, old)
        log_event("address_changed", by=person)
    trust_address(person)
    return True
