"""Mail settings from `EMAIL_URL` and `DEFAULT_FROM_EMAIL`."""

from email.utils import parseaddr
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_BACKENDS = "django.core.mail.backends"
_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
_HELP = (
    "Use smtp://HOST:PORT for a server on this machine, smtp+tls://NAME:PASSWORD@HOST:PORT (STARTTLS, or nothing is "
    "sent), smtps://NAME:PASSWORD@HOST:PORT (TLS from the start), file:///a/folder, or console: for standard output. "
    "In the name and the password write %40 for @ and %2F for a slash."
)


def checked_sender(value: str) -> str:
    """The sender of every mail, if it has an address."""
    if "@" not in parseaddr(value)[1]:
        raise ImproperlyConfigured(
            f"DEFAULT_FROM_EMAIL is not an address: {value!r}. "
            "Use one, for example Our Catalogue <catalogue@example.com>."
        )
    return value


def mail_settings(url: str) -> dict[str, Any]:
    """Django's settings for the URL. A wrong URL stops the start, with a sentence that does not show its password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"EMAIL_URL is not an address: {error}. {_HELP}") from error
    if parts.scheme == "console":
        return {"EMAIL_BACKEND": f"{_BACKENDS}.console.EmailBackend"}
    if parts.scheme == "file" and parts.path:
        return {"EMAIL_BACKEND": f"{_BACKENDS}.filebased.EmailBackend", "EMAIL_FILE_PATH": unquote(parts.path)}
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ImproperlyConfigured(f"EMAIL_URL does not name a mail server. {_HELP}")
    return {
        "EMAIL_BACKEND": f"{_BACKENDS}.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port or _PORTS[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
    }
