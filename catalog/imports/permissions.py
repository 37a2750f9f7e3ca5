"""Who may do what. Each operation asks here, whichever face it is called through."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from catalog.errors import NotAllowed
from catalog.imports.announce import announce_review
from catalog.imports.notices import notify_needs_review
from catalog.imports.work.queue import fail
from catalog.models import Feed, ImportRun, Mode, Status

API_FEED = "api"
"""The short name of the feed that uploads through the API belong to, unless they name another."""
WITHDRAWN = "mandate.withdrawn"


def require(by: Any, permission: str) -> None:
    """Raise `NotAllowed` unless `by` has the permission. None is the system: a schedule, or a shell."""
    if by is not None and not by.has_perm(permission):
        raise NotAllowed("not_allowed", f"{by} may not do this: it needs the permission {permission}.")


def require_upload(by: Any, *, applying: bool) -> None:
    """Raise `NotAllowed` unless `by` may upload; to have it applied unasked, `by` must be allowed to confirm too."""
    require(by, "catalog.add_importrun")
    if applying:
        require(by, "catalog.confirm_importrun")


def require_upload_by_api(by: Any, *, feed: str, mode: str) -> None:
    """Through the API everybody who has an account may add products to the API's own feed.

    Changing or archiving products needs the right to confirm; another feed needs the right to upload in the admin.
    """
    if feed != API_FEED:
        require(by, "catalog.add_importrun")
    if mode != Mode.ADD:
        require(by, "catalog.confirm_importrun")


def key_feeds(by: Any) -> list[str]:
    """The short names of the only feeds that the key is for by which `by` comes; empty if it is for all."""
    key = getattr(by, "api_key", None)
    return key.feeds if key else []


def require_feed(by: Any, slug: str) -> None:
    """Raise `NotAllowed` if `by` comes with a key that is for other feeds."""
    feeds = key_feeds(by)
    if feeds and slug not in feeds:
        raise NotAllowed("key_feed", f"This API key is only for these feeds: {', '.join(feeds)}.")


def visible_feeds(by: Any) -> QuerySet[Feed]:
    """All feeds, or those that the key is for by which `by` comes."""
    feeds = key_feeds(by)
    return Feed.objects.filter(slug__in=feeds) if feeds else Feed.objects.all()


def visible_imports(by: Any) -> QuerySet[ImportRun]:
    """All imports for people who may view imports; for others only their own. A key sees those of its feeds."""
    runs = ImportRun.objects.select_related("feed", "uploaded_by")
    if feeds := key_feeds(by):
        runs = runs.filter(feed__slug__in=feeds)
    return runs if by.has_perm("catalog.view_importrun") else runs.filter(uploaded_by=by)


# --- when the worker comes ----------------------------------------------------------------------------

_NEEDED = {
    Status.APPLYING: "catalog.confirm_importrun",
    Status.UNDOING: "catalog.undo_importrun",
    Status.REDOING: "catalog.undo_importrun",
}


def still_allowed(run: ImportRun) -> bool:
    """Whether the person who asked for what the run is about to do may still ask for it. The system always may.

    If not, a plan waits for another person to confirm it, and an import to be undone is what it was before.
    """
    if not (name := _lost_permission(run)):
        return True
    said = f"{name} asked for this and is not allowed to any more."
    if run.status == Status.APPLYING:
        others = [hold for hold in run.holds if hold["code"] != WITHDRAWN]
        hold = {"code": WITHDRAWN, "message": f"{said} Another person has to confirm it."}
        run.move(Status.APPLYING, to=Status.REVIEW, holds=[*others, hold])
        notify_needs_review(run)
        announce_review(run)
    else:
        fail(run, "mandate_withdrawn", f"{said} No product was changed.")
    return False


def _lost_permission(run: ImportRun) -> str:
    """The name of the person who asked and may not any more; `""` if there is none."""
    if name := run.history[-1]["by"]:
        person: Any = get_user_model().objects.filter(username=name).first()  # None if it was removed or renamed
        return "" if person and person.has_perm(_NEEDED[Status(run.status)]) else name
    uploader = run.uploaded_by
    unasked = run.status == Status.APPLYING and run.auto_apply and run.has_changes
    return str(uploader) if unasked and uploader and not _may_auto_apply(uploader, run.feed, run.mode) else ""


def _may_auto_apply(by: Any, feed: Feed, mode: str) -> bool:
    """Whether a file that `by` uploaded now, in one way or another, could be applied without a confirmation."""
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
