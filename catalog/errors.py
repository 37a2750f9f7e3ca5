"""The one family of errors a person can act on. Each is a sentence: where, what was found, what would do."""

import errno


class CatalogError(Exception):
    """Something was refused. `code` is stable and for programs, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ItemsMissing(CatalogError):
    """Rows of earlier imports' items are gone that this one has need of: nothing is planned from what is left."""

    def __init__(self) -> None:
        super().__init__(
            "items_missing",
            "Items that the feed's last import had are no longer there. No product was changed. Upload the file again: "
            "all of it will be read.",
        )


class FeedRefused(CatalogError):
    """The whole file cannot be read; nothing of it will be applied."""


class NotPossible(CatalogError):
    """The operation does not fit the state that the import is in now."""


class NotAllowed(CatalogError):
    """The person lacks the permission."""


class QuotaReached(CatalogError):
    """The account has taken as much as one may. It can try again after `wait` seconds."""

    def __init__(self, code: str, message: str, *, wait: int) -> None:
        super().__init__(code, message)
        self.wait = wait


class NotStored(CatalogError):
    """The server could not keep a file."""

    def __init__(self, reason: OSError) -> None:
        is_full = reason.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "has no room left for the file" if is_full else f"cannot store the file: {reason.strerror or reason}"
        super().__init__(
            "storage.full" if is_full else "storage.failed",
            f"The server {why}. Nothing was imported. Tell whoever looks after the server, then upload it again.",
        )
