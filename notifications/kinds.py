"""Which messages there are for people to choose from. Each app registers its own; here is none but the digest."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

FAILURE_DIGEST = "failure_digest"


@dataclass(frozen=True)
class Kind:
    """A message by the name of its folder, in the words that people choose by.

    Nobody is told what they may not look at: `permission` is what somebody needs to be told unasked.
    """

    name: str
    label: Any
    help: Any
    permission: str


KINDS: dict[str, Kind] = {}


def register(*kinds: Kind) -> None:
    """Let people choose these messages. Call it when the app is ready."""
    KINDS.update({kind.name: kind for kind in kinds})


def label_of(name: str) -> Any:
    if name == FAILURE_DIGEST:
        return _("Digest of what went wrong")
    return KINDS[name].label if name in KINDS else name.replace("_", " ").capitalize()
