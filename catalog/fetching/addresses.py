"""What may be connected to: addresses as people write them, and the networks that lie behind them.

An address is checked before anything is sent, and again at each redirect. A name is resolved once, every answer is
checked, and one of these very answers is connected to, so that a name cannot lead elsewhere a moment later.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from threading import Thread
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from django.conf import settings

from catalog.fetching.failures import FetchFailed, FetchRefused, clean_words

Address = IPv4Address | IPv6Address

MAX_ADDRESS_CHARS = 2000
FOLDER = "folder"
# The ports of each scheme; the first one is its default. FETCH_PORTS adds to them.
PORTS: dict[str, tuple[int, ...]] = {
    "https": (443, 8443, 4443, 9443),
    "http": (80, 8000, 8080, 8888),
    "sftp": (22, 2222, 22222),
    "ftp": (21, 2121),
    "ftps": (21, 990, 2121),
    "s3": (443,),
}
SCHEMES = (*PORTS, FOLDER)
# From here on ports belong to nobody in particular: they may be used in the networks that FETCH_ALLOW opens.
FIRST_FREE_PORT = 1024
HIDDEN = "••••"
_SECRET_NAME = re.compile(
    r"(?i)pass|pwd|secret|token|signature|credential|auth|session|\bsig\b|(^|[-_.])(sig|key|code|sid)$|(api|access)[-_]?key"
)

# --- networks -------------------------------------------------------------------------------------------

# Special-purpose networks (IANA's two registries), each with what it is called in a sentence.
_SPECIAL: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "reserved"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "a carrier's own"),
    ("127.0.0.0/8", "this machine's own"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "reserved for documentation"),
    ("192.31.196.0/24", "reserved"),
    ("192.52.193.0/24", "reserved"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "reserved"),
    ("198.18.0.0/15", "reserved for measurements"),
    ("198.51.100.0/24", "reserved for documentation"),
    ("203.0.113.0/24", "reserved for documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "reserved"),
    ("::1/128", "this machine's own"),
    ("2001::/23", "reserved"),
    ("2001:db8::/32", "reserved for documentation"),
    ("2002::/16", "reserved for tunnels"),
    ("2620:4f:8000::/48", "reserved"),
    ("3fff::/20", "reserved for documentation"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "private"),
    ("ff00::/8", "multicast"),
)
# Where clouds hand out the credentials of the machine itself. Nothing opens these.
_METADATA: tuple[str, ...] = (
    "169.254.0.0/16",  # AWS, Azure, Google, Oracle, OpenStack, DigitalOcean, Tencent, Scaleway and others
    "100.100.100.200/32",  # Alibaba
    "168.63.129.16/32",  # Azure's wire server
    "192.0.0.192/32",  # Oracle
    "fe80::/10",
    "fd00:ec2::/32",  # AWS
    "fd20:ce::/32",  # Google
    "fd00:42::42/128",  # Scaleway
    "fd00:a9fe:a9fe::/48",  # 169.254.169.254 spelled in IPv6
)
SPECIAL_NETWORKS = tuple((ip_network(network), what) for network, what in _SPECIAL)
METADATA_NETWORKS = tuple(ip_network(network) for network in _METADATA)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")  # SIIT, RFC 2765
_COMPATIBLE = IPv6Network("::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)


def embedded_addresses(address: Address) -> list[Address]:
    """The address, and every IPv4 address that it stands for: mapped, translated, NAT64, 6to4, Teredo, ISATAP."""
    found: list[Address] = [address]
    if isinstance(address, IPv4Address):
        return found
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped:
        return [address.ipv4_mapped]  # the same thing in another spelling
    if any(address in network for network in (*_NAT64, _TRANSLATED)) or (
        address in _COMPATIBLE and int(address) > 0xFFFF
    ):
        found.append(low)
    if address.sixtofour:
        found.append(address.sixtofour)
    if address.teredo:
        found.extend(address.teredo)
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        found.append(low)
    return found


def forbidden_because(text: str) -> str:
    """Why the address may not be connected to, as the end of "it is …"; `""` when it may."""
    if "%" in text:
        return "link-local"
    try:
        address = ip_address(text)
    except ValueError:
        return "not an address"
    spellings = embedded_addresses(address)
    if any(each in network for each in spellings for network in METADATA_NETWORKS):
        return "where clouds hand out credentials"
    if is_opened(text):
        return ""
    for each in spellings:
        if isinstance(each, IPv6Address) and each in _NAT64[0]:
            continue  # a gateway's spelling of the IPv4 address, which is looked at next
        special = next((what for network, what in SPECIAL_NETWORKS if each in network), "")
        if special:
            return special
        if isinstance(each, IPv6Address) and each not in _GLOBAL_UNICAST:
            return "reserved"
        if not each.is_global:
            return "reserved"
    return ""


def is_metadata(text: str) -> bool:
    try:
        spellings = embedded_addresses(ip_address(text.partition("%")[0]))
    except ValueError:
        return False
    return any(each in network for each in spellings for network in METADATA_NETWORKS)


def is_opened(text: str) -> bool:
    """Whether FETCH_ALLOW names a network with the address. A tunnel to an opened network is not that network."""
    address = ip_address(text.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    networks = [ip_network(word.strip(), strict=False) for word in settings.FETCH_ALLOW.split(",") if word.strip()]
    return any(address.version == network.version and address in network for network in networks)


# --- addresses ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """An address, taken apart. `host` is empty for a folder; `path` is decoded, as servers of files want it."""

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""
    username: str = ""
    password: str = ""

    @property
    def origin(self) -> str:
        """What credentials belong to: another scheme, host or port is somebody else."""
        return f"{self.scheme}://{self.shown_host}:{self.port}" if self.host else f"{self.scheme}:"

    @property
    def shown_host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def url(self) -> str:
        """The address without a login in it."""
        if self.scheme == FOLDER:
            return f"{FOLDER}:{self.path}"
        default = self.scheme == "s3" or self.port == PORTS[self.scheme][0]
        netloc = self.shown_host if default else f"{self.shown_host}:{self.port}"
        path = self.path if self.scheme in ("http", "https") else quote(self.path, safe="/!$&'()*+,;=:@~")
        return urlunsplit((self.scheme, netloc, path, self.query, ""))

    @property
    def shown(self) -> str:
        """The address for people: a parameter that is called token, key or password shows no value."""
        return hide_secrets(self.url)


def hide_secrets(address: str) -> str:
    """The address without its login, and without the values of parameters that are called like secrets."""
    scheme, colon, rest = address.partition("://")
    if not colon:
        return address
    authority, slash, tail = re.match(r"([^/?#]*)([/?#]?)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    authority = authority.rpartition("@")[2]
    path, mark, query = f"{slash}{tail}".partition("?")
    if mark:
        pieces = []
        for piece in query.split("&"):
            name, equals, value = piece.partition("=")
            pieces.append(f"{name}={HIDDEN}" if equals and value and _SECRET_NAME.search(unquote(name)) else piece)
        query = "&".join(pieces)
    return f"{scheme}://{authority}{path}{mark}{query}"


def parse_place(text: str) -> Place:
    """Take an address apart. Raises `FetchRefused` with what would do for one that is not to be connected to."""
    text = text.strip()
    if len(text) > MAX_ADDRESS_CHARS:
        raise _not_an_address(f"it has {len(text):,} characters, and at most {MAX_ADDRESS_CHARS:,} are read")
    if any(c.isspace() or not c.isprintable() or c == "\\" for c in text):
        raise _not_an_address(
            "it has a blank, a backslash or a control character in it. Write those as %20, %5C or the like"
        )
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise _not_an_address("it does not begin with https://, sftp://, ftps://, s3:// or folder:")
    if scheme == FOLDER:
        return Place(FOLDER, "", 0, rest.strip("/"))
    if scheme not in PORTS:
        raise FetchRefused(
            "forbidden_scheme",
            f"Addresses with {clean_words(scheme, 20)}: are forbidden. Use one of {', '.join(SCHEMES)}.",
        )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _not_an_address(clean_words(error)) from None
    if not rest.startswith("//") or not host:
        raise _not_an_address("it names no host")
    if scheme == "s3":
        return Place("s3", parts.netloc.rpartition("@")[2], PORTS["s3"][0], unquote(parts.path).lstrip("/"))
    host = _clean_host(host)
    port = PORTS[scheme][0] if port is None else port
    is_web = scheme in ("http", "https")
    path = quote(parts.path or "/", safe="/!$&'()*+,;=:@%-._~") if is_web else unquote(parts.path)
    if "\0" in path or "\n" in path or "\r" in path:
        raise _not_an_address("its path has a control character in it")
    return Place(
        scheme,
        host,
        port,
        path,
        quote(parts.query, safe="!$&'()*+,;=:@/?%-._~[]|") if is_web else "",
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


def _clean_host(host: str) -> str:
    """The host as it is looked up: in ASCII, without the dot at the end."""
    if ":" in host:
        if "%" in host:
            raise FetchRefused("forbidden_address", f"{clean_words(host, 60)} is forbidden: it is link-local.")
        try:
            return str(IPv6Address(host))
        except ValueError:
            raise _not_an_address(f"{clean_words(host, 60)} is not a host") from None
    try:
        name = host.encode("ascii").decode() if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise _not_an_address(f"{clean_words(host, 60)} is not a host") from None
    name = name.lower().rstrip(".")
    if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", name) or len(name) > 253:
        raise _not_an_address(f"{clean_words(host, 60)} is not a host")
    return name


def _not_an_address(why: str) -> FetchRefused:
    return FetchRefused("address", f"The address cannot be used: {why}.")


def check_port(place: Place, address: str) -> None:
    """Raise `FetchRefused` unless the port is one of the scheme's, of FETCH_PORTS, or free in an opened network."""
    allowed = {*PORTS[place.scheme], *settings.FETCH_PORTS}
    if place.port in allowed or (place.port >= FIRST_FREE_PORT and is_opened(address)):
        return
    raise FetchRefused(
        "forbidden_port",
        f"The port {place.port} is forbidden for {place.scheme}. Use one of "
        f"{', '.join(str(port) for port in PORTS[place.scheme])}, or name it in FETCH_PORTS.",
    )


# --- names ----------------------------------------------------------------------------------------------


def resolve(host: str, port: int, seconds: float) -> list[str]:
    """Every address that the name has now. Raises `FetchFailed` when it has none, or nobody answers in time.

    The system's resolver has no time-out that a program may set, so it works in a thread that may be left behind.
    """
    answers: list[str] = []
    problems: list[OSError] = []

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            problems.append(error if isinstance(error, OSError) else OSError(str(error)))
        else:
            answers.extend(dict.fromkeys(str(answer[4][0]) for answer in found))

    thread = Thread(target=ask, name="resolver", daemon=True)
    thread.start()
    thread.join(max(seconds, 0.01))
    if thread.is_alive():
        raise FetchFailed(
            "dns", f"The name {host} could not be looked up in time. Try again, or check the name server."
        )
    if problems or not answers:
        raise FetchFailed("dns", f"There is no host {host}. Check the address.")
    return answers


def checked_addresses(place: Place, seconds: float) -> list[str]:
    """The addresses of the place that may be connected to.

    Raises `FetchRefused` if any answer is where clouds hand out credentials, and if any is forbidden; but beside an
    address that FETCH_ALLOW opens, another one of the same name is only left out.
    """
    answers = resolve(place.host, place.port, seconds)
    reasons = {answer: forbidden_because(answer) for answer in answers}
    metadata = [answer for answer in answers if is_metadata(answer)]
    opened = [answer for answer in answers if not reasons[answer] and is_opened(answer)]
    forbidden = [answer for answer in answers if reasons[answer]]
    if metadata or (forbidden and not opened):
        raise _forbidden(place, (metadata or forbidden)[0], reasons)
    usable = opened or answers
    check_port(place, usable[0])
    return usable


def _forbidden(place: Place, answer: str, reasons: dict[str, str]) -> FetchRefused:
    named = answer if answer == place.host else f"{place.host} ({answer})"
    advice = "" if is_metadata(answer) else " FETCH_ALLOW opens networks of the house."
    return FetchRefused("forbidden_address", f"The address {named} is forbidden: it is {reasons[answer]}.{advice}")


def check_place(place: Place) -> None:
    """What can be said of a place without looking its name up: a literal address that is forbidden is refused."""
    try:
        ipaddress.ip_address(place.host)
    except ValueError:
        return
    if why := forbidden_because(place.host):
        raise _forbidden(place, place.host, {place.host: why})
    if place.scheme != "s3":
        check_port(place, place.host)
