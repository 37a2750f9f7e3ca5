"""Who may change whom: nobody gains rights that they do not hold, in their own or another's name."""

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet

from accounts.models import User


def held_permissions(person: User) -> QuerySet[Permission]:
    """What the person holds directly or through groups, even while deactivated, when Django itself says nothing."""
    return Permission.objects.filter(Q(user=person) | Q(group__user=person))


def may_change(actor: User, person: User) -> bool:
    """Whether the person holds nothing that the actor lacks: a new password or address takes the account over."""
    if actor.is_superuser:
        return True
    beyond = held_permissions(person).exclude(pk__in=held_permissions(actor).values("pk"))
    return not person.is_superuser and not beyond.exists()


def match_staff(person: User, *, had_role: bool) -> bool:
    """Whoever has a role is staff: the first role makes them so, losing the last one ends it. Whether it changed."""
    has_role = person.groups.exists()
    if had_role == has_role or person.is_staff == has_role or person.is_superuser:
        return False
    person.is_staff = has_role
    person.save(update_fields=["is_staff"])
    return True


def grantable_groups(actor: User) -> QuerySet[Group]:
    """The groups without a permission that the actor lacks; for a superuser, all groups."""
    if actor.is_superuser:
        return Group.objects.all()
    lacking = Permission.objects.exclude(pk__in=held_permissions(actor).values("pk"))
    return Group.objects.exclude(permissions__in=lacking)
