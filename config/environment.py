"""What the environment says. A value that is not understood stops the start with a sentence: a guess may be unsafe."""

from ipaddress import ip_network
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from accounts.roles import ROLES

YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
KNOWN_BEGINNINGS = ("only-for-a-checkout", "django-insecure-")
MIN_SECRET_CHARS, MIN_DIFFERENT_CHARS = 50, 10


class Environment(environ.Env):
    """django-environ's, with the kinds of values that it guesses at."""

    def flag(self, name: str, default: bool) -> bool:
        """1 or 0. django-environ takes every misspelt yes for a no."""
        text = str(self.str(name, default="")).strip().lower()
        if text not in (*YES, *NO, ""):
            raise ImproperlyConfigured(f"{name} must be 1 or 0. See .env.example.")
        return text in YES if text else default

    def limit(self, name: str, default: int, least: int = 1) -> int:
        """A whole number, at least so large. A limit of 0 would be none, or refuse everything."""
        text = str(self.str(name, default="")).strip()
        if text and not (text.isascii() and text.isdecimal() and least <= int(text)):
            raise ImproperlyConfigured(f"{name} must be a whole number of {least} or more. See .env.example.")
        return int(text) if text else default


def check_secret(name: str, value: str) -> None:
    """Refuse a secret that can be guessed. The sentence does not show it."""
    if (
        len(value.encode()) < MIN_SECRET_CHARS
        or len(set(value)) < MIN_DIFFERENT_CHARS
        or value.startswith(KNOWN_BEGINNINGS)
        or value in (value + value)[1:-1]  # a shorter text again and again
    ):
        raise ImproperlyConfigured(
            f"{name} is weak. Use a random text of your own with {MIN_SECRET_CHARS} or more characters, for example "
            "what python3 -c 'import secrets; print(secrets.token_urlsafe(50))' prints."
        )


def checked_hosts(hosts: list[str]) -> list[str]:
    """The hosts that the site answers to, by name: a wildcard lets a request choose the host of links."""
    named = [host for host in map(str.strip, hosts) if host]
    if not named or any("*" in host or is_top_level(host) for host in named):
        raise ImproperlyConfigured(
            "DJANGO_ALLOWED_HOSTS must name the hosts that the site answers to, without *. "
            "Write .example.com for example.com and every host below it."
        )
    return named


def is_top_level(host: str) -> bool:
    """`.com`, or a dot alone: that is every host, too."""
    return host.startswith(".") and "." not in host.strip(".")


def checked_origins(name: str, origins: list[str]) -> list[str]:
    """Origins of other sites by name; a * stands for the hosts below one, never for all."""
    for origin in origins:
        host = urlsplit(origin).hostname or ""
        if not host or "*" in host.removeprefix("*.") or (host.startswith("*") and is_top_level(host[1:])):
            raise ImproperlyConfigured(
                f"{name} must name each origin, for example https://catalogue.example.com, and never all."
            )
    return origins


def check_address(name: str, value: str, *schemes: str) -> None:
    """Refuse what is no address of such a kind. The sentence does not show it: there may be a password in it."""
    parts = urlsplit(value)
    if parts.scheme not in schemes or not (parts.hostname or parts.path.strip("/")):
        raise ImproperlyConfigured(f"{name} must be an address that begins with {schemes[0]}://. See .env.example.")


def checked_receiver(name: str, value: str) -> str:
    """The address of what takes spans or errors, or nothing."""
    if value:
        check_address(name, value, "https", "http")
    return value


def checked_networks(text: str) -> str:
    """A list of networks with commas between them, as it is."""
    for word in filter(None, (part.strip() for part in text.split(","))):
        try:
            ip_network(word, strict=False)
        except ValueError:
            raise ImproperlyConfigured(
                "FETCH_ALLOW must list networks with commas between them, for example 10.1.0.0/16. See .env.example."
            ) from None
    return text


def checked_ports(text: str) -> list[int]:
    """The ports that the text lists with commas between them."""
    words = [word for part in text.split(",") if (word := part.strip())]
    if not all(word.isascii() and word.isdecimal() and 0 < int(word) < 65536 for word in words):
        raise ImproperlyConfigured("FETCH_PORTS must list ports with commas between them. See .env.example.")
    return [int(word) for word in words]


def checked_roles(names: list[str]) -> list[str]:
    """Names of roles of the program."""
    for name in names:
        if name not in ROLES:
            raise ImproperlyConfigured(f"SECOND_FACTOR_ROLES names {name}, which is none of {', '.join(ROLES)}.")
    return names


def checked_provider(server: str) -> str:
    """The address of an OpenID provider, in the clear on this machine only; empty for none."""
    parts = urlsplit(server)
    is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if server and not (parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and is_here))):
        raise ImproperlyConfigured("OPENID_SERVER must be the provider's address, with https://. See .env.example.")
    return server.rstrip("/")


def checked_groups(text: str) -> dict[str, str]:
    """Which role a group of the provider gives: `group=role` with commas between them."""
    pairs = [part.strip().rpartition("=") for part in text.split(",") if part.strip()]
    for group, _is, role in pairs:
        if not group.strip() or role.strip() not in ROLES:
            raise ImproperlyConfigured(
                f"OPENID_GROUPS must list groups with their roles, for example shop-managers=manager. The roles are "
                f"{', '.join(ROLES)}. See .env.example."
            )
    return {group.strip(): role.strip() for group, _is, role in pairs}


def checked_keys(text: str) -> list[str]:
    """The keys that the text lists with commas between them, each strong enough."""
    keys = [key for part in text.split(",") if (key := part.strip())]
    for key in keys:
        check_secret("FEED_CREDENTIAL_KEYS", key)
    return keys
