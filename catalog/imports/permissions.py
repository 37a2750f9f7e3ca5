"""Who may do what. Each operation asks here, whichever face it is called through."""

from typing import Any

from catalog.errors import NotAllowed


def require(by: Any, permission: str) -> None:
    """Raise `NotAllowed` unless `by` has the permission. None is the system itself: a schedule, or a shell."""
    if by is not None and not by.has_perm(permission):
        raise NotAllowed("not_allowed", f"{by} may not do this: it needs the permission {permission}.")
