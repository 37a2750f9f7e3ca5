"""Why a fetch brought no file. Each is a sentence with a stable code, as every `CatalogError`."""

from __future__ import annotations

from catalog.errors import CatalogError


class FetchFailed(CatalogError):
    """The file could not be fetched.

    `again` says whether another try may go well; `wait` is how many seconds the server asked us to wait for that.
    """

    def __init__(
        self, code: str, message: str, *, status: int | None = None, again: bool = True, wait: int | None = None
    ) -> None:
        super().__init__(f"fetch.{code}", message)
        self.status = status
        self.again = again
        self.wait = wait


class FetchRefused(FetchFailed):
    """We do not fetch this, however often it is tried."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message, again=False)


def clean_words(text: object, most: int = 200) -> str:
    """What a server or a library said, for a sentence of ours: printable, in one line, cut."""
    words = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return words if len(words) <= most else f"{words[: most - 1]}…"
