"""Who may change whom: nobody gets at rights, in their own or another's name, that they do not hold."""

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet

from accounts.models import User


def permissions_of(person: User) -> QuerySet[Permission]:
    """What the person holds by name or through groups - also while deactivated, when Django's own answer is nothing."""
    return Permission.objects.filter(Q(user=person) | Q(group__user=person))


def may_change(actor: User, person: User) -> bool:
    """Whether the person holds nothing that the actor lacks; who changes a password or an address takes the account."""
    if actor.is_superuser:
        return True
    beyond = permissions_of(person).exclude(pk__in=permissions_of(actor).values("pk"))
    return not person.is_superuser and not beyond.exists()


def groups_to_give(actor: User) -> QuerySet[Group]:
    """The groups without a permission that the actor lacks; for a superuser, all."""
    if actor.is_superuser:
        return Group.objects.all()
    lacking = Permission.objects.exclude(pk__in=permissions_of(actor).values("pk"))
    return Group.objects.exclude(permissions__in=lacking)
