"""As whom the servers run, where PostgreSQL refuses the user who starts them."""

import contextlib
import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devservers.errors import EmbeddedError
from devservers.processes import succeeds


def identity() -> tuple[dict[str, Any], int, int]:
    """How servers are started by this user: the arguments of Popen, and the user and group that own their files."""
    uid, gid = os.geteuid(), os.getegid()
    if uid and user_name(uid):
        return {}, uid, gid
    account = stand_in()
    namespace = {"preexec_fn": namespace_entry(account.pw_uid, account.pw_gid)}
    if succeeds(["/bin/sh", "-c", ":"], namespace):
        return namespace, uid, gid
    switch = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    if uid == 0 and succeeds(["/bin/sh", "-c", ":"], switch):
        return switch, account.pw_uid, account.pw_gid
    raise EmbeddedError(
        f"PostgreSQL runs neither as root nor for a number without an account, and user {uid} can neither make a user "
        f"namespace nor become {account.pw_name} here: run as an ordinary user, or set DATABASE_URL and REDIS_URL."
    )


def namespace_entry(uid: int, gid: int) -> Callable[[], None]:
    """What a child does before exec to be seen as `uid` by itself, while to the files it is who it was.

    Raises in the child, and so fails its start, where the kernel or the container refuses.
    """
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)  # found before the fork; not on macOS
    maps = {"setgroups": "deny", "uid_map": f"{uid} {os.geteuid()} 1", "gid_map": f"{gid} {os.getegid()} 1"}

    def enter() -> None:
        new_user_namespace = 0x10000000
        if unshare is None or unshare(new_user_namespace):
            raise OSError(errno.EPERM, "user namespaces are refused")
        for name, text in maps.items():
            Path("/proc/self", name).write_text(text)

    return enter


def stand_in() -> Any:
    """The unprivileged account that servers are shown as, or run as, which cannot be who they are: a struct_passwd."""
    import pwd  # not on Windows, where the settings must still load

    with contextlib.suppress(KeyError):
        return pwd.getpwnam("nobody")
    for entry in pwd.getpwall():
        if entry.pw_uid:
            return entry
    raise EmbeddedError(
        "PostgreSQL refuses to run as root, and this machine has no other account: add one, or set DATABASE_URL and "
        "REDIS_URL."
    )


def our_uids() -> set[int]:
    """Who may own the servers' files: this user; for root also the account that stands in for it."""
    return {os.geteuid()} if os.geteuid() else {0, stand_in().pw_uid}


def user_name(uid: int) -> str:
    """The account's name; "" when there is none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def belongs_to(uid: int) -> str:
    return f"belongs to {user_name(uid) or f'user {uid}'}"
