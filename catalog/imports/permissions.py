"""Who may do what. Each operation asks here, whichever face it is called through."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

from catalog.errors import NotAllowed
from catalog.models import Feed, ImportRun, Mode

API_FEED = "api"
"""The short name of the feed that uploads through the API belong to, unless they name another."""


def require(by: Any, permission: str) -> None:
    """Raise `NotAllowed` unless `by` has the permission. None is the system itself: a schedule, or a shell."""
    if by is not None and not by.has_perm(permission):
        raise NotAllowed("not_allowed", f"{by} may not do this: it needs the permission {permission}.")


def require_upload(by: Any, *, applying: bool) -> None:
    """To have a file read; `applying` its plan without asking anybody takes who may confirm."""
    require(by, "catalog.add_importrun")
    if applying:
        require(by, "catalog.apply_importrun")


def require_upload_by_api(by: Any, *, feed: str, mode: str) -> None:
    """Through the API everybody who has an account may add products, to the API's own feed and to no other.

    What changes or archives products needs an approver; another feed, somebody who may upload in the admin too.
    """
    if feed != API_FEED:
        require(by, "catalog.add_importrun")
    if mode != Mode.ADD:
        require(by, "catalog.apply_importrun")


def may_have_applied(by: Any, feed: Feed, mode: str) -> bool:
    """Whether somebody who uploaded a file now, in one way or another, could have it applied without being asked."""
    return by.is_active and (
        _is_allowed(require_upload, by, applying=not feed.auto_apply)
        or _is_allowed(require_upload_by_api, by, feed=feed.slug, mode=mode)
    )


def _is_allowed(demand: Callable[..., None], *asked: Any, **how: Any) -> bool:
    try:
        demand(*asked, **how)
    except NotAllowed:
        return False
    return True


def visible_imports(by: Any) -> QuerySet[ImportRun]:
    """One's own imports; for people who may look at imports, everybody's."""
    runs = ImportRun.objects.select_related("feed", "uploaded_by")
    return runs if by.has_perm("catalog.view_importrun") else runs.filter(uploaded_by=by)
