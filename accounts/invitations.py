"""Inviting people: who may, for which role, and how it is accepted."""

from uuid import uuid4

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.addresses import trust_address
from accounts.delegation import grantable_groups
from accounts.mails import INVITATION_SALT, write_invitation
from accounts.models import Invitation, User
from accounts.signup import refuse_taken_name
from events.log import log_event


class InvitationRefused(Exception):
    """Why an invitation cannot be sent, withdrawn or accepted, in a sentence."""


def why_not_invited(email: str) -> str:
    """Why nobody is invited by this address; `""` if somebody may be."""
    person = User.objects.filter(email=email).first()
    if person:
        return _("%s has this address already. Give the role on their page.") % person.username
    if Invitation.objects.open().filter(email=email).exists():
        return _("An invitation to this address is open. Send it again from the list.")
    return ""


@transaction.atomic
def invite(email: str, role: Group, *, by: User) -> Invitation:
    """Invite somebody, who gets a mail. Needs `add_invitation`, and every right of the role.

    Of two who invite the same address in one moment, the second gets the invitation of the first.
    """
    require_may_invite(role, by)
    Invitation.objects.filter(email=email, accepted_at=None, withdrawn_at=None, expires_at__lte=timezone.now()).update(
        withdrawn_at=timezone.now()  # the new one takes its place
    )
    chosen = {"role": role, "invited_by": by, "expires_at": timezone.now() + Invitation.LIFETIME}
    invitation, is_new = Invitation.objects.open().get_or_create(email=email, defaults=chosen)
    if is_new:
        write_invitation(invitation)
        log_event("invitation", by=by, role=role.name, invitation=invitation.pk)
    return invitation


@transaction.atomic
def resend(invitation: Invitation, *, by: User) -> None:
    """Send it again, in `by`'s name, with a link and a time of its own; the earlier link no longer works."""
    invitation = waiting_invitation(invitation, by)
    invitation.link_id, invitation.invited_by, invitation.sent_at = uuid4(), by, timezone.now()
    invitation.expires_at = timezone.now() + Invitation.LIFETIME
    invitation.save()
    write_invitation(invitation)
    log_event("invitation", by=by, role=invitation.role.name, invitation=invitation.pk)


@transaction.atomic
def withdraw(invitation: Invitation, *, by: User) -> None:
    invitation = waiting_invitation(invitation, by)
    invitation.withdrawn_at = timezone.now()
    invitation.save()
    log_event("invitation_withdrawn", by=by, invitation=invitation.pk)


def waiting_invitation(invitation: Invitation, by: User) -> Invitation:
    """The invitation, locked, if nobody has accepted or withdrawn it and `by` may deal with it."""
    locked = Invitation.objects.select_for_update(of=("self",)).select_related("role").get(pk=invitation.pk)
    if locked.accepted_at or locked.withdrawn_at:
        raise InvitationRefused(_("The invitation to %s was accepted or withdrawn before.") % locked.email)
    try:
        require_may_invite(locked.role, by)
    except PermissionDenied as error:
        raise InvitationRefused(_("The invitation to %s gives more than you may do.") % locked.email) from error
    return locked


def require_may_invite(role: Group, by: User) -> None:
    if not may_invite(role, by):
        raise PermissionDenied


def may_invite(role: Group, by: User | None) -> bool:
    if by is None or not by.is_active or not by.is_staff or not by.has_perm("accounts.add_invitation"):
        return False
    return grantable_groups(by).filter(pk=role.pk).exists()


def invitation_of(key: str) -> Invitation | None:
    """The open invitation of a link, while whoever sent it might still do so."""
    try:
        link_id = signing.loads(key, salt=INVITATION_SALT, max_age=Invitation.LIFETIME)
    except signing.BadSignature:
        return None
    invitation = Invitation.objects.open().filter(link_id=link_id).select_related("role", "invited_by").first()
    return invitation if invitation and may_invite(invitation.role, invitation.invited_by) else None


def invitation_to(email: str) -> Invitation | None:
    """The open invitation to this address, while whoever sent it might still do so."""
    invitation = Invitation.objects.open().filter(email=email).select_related("role", "invited_by").first()
    return invitation if invitation and may_invite(invitation.role, invitation.invited_by) else None


def accept(key: str, *, username: str, password: str, first_name: str = "", last_name: str = "") -> User:
    """Make the account of a link's invitation. Raises `ValidationError` for what is wrong."""
    return accept_found(
        invitation_of(key), username=username, password=password, first_name=first_name, last_name=last_name
    )


@transaction.atomic
def accept_found(
    found: Invitation | None, *, username: str, password: str | None, first_name: str = "", last_name: str = ""
) -> User:
    """Make the account: staff, with the role and a confirmed address; without a password if there is none."""
    # A second click waits here for the first.
    if found is None or not Invitation.objects.select_for_update().open().filter(pk=found.pk).exists():
        raise InvitationRefused(_("This invitation was accepted or withdrawn, or has expired."))
    names = {"username": username, "first_name": first_name, "last_name": last_name}
    person = User(email=found.email, is_staff=True, **names)
    person.second_factor_due = timezone.now()  # days of grace are for people who were here before
    try:
        if password is not None:
            validate_password(password, person)
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from error
    person.clean_fields(exclude=["password"])
    person.validate_constraints()
    person.set_password(password)
    with refuse_taken_name():
        person.save()
    person.groups.set([found.role])
    trust_address(person)
    Invitation.objects.filter(pk=found.pk).update(accepted_at=timezone.now())
    log_event("invitation_accepted", by=person, role=found.role.name, invitation=found.pk)
    return person
