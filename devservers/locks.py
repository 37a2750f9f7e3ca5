"""Locks on files: one starter at a time, and who counts on the servers."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from devservers.addresses import STATE
from devservers.folders import make_passable

_users: int | None = None


@contextlib.contextmanager
def open_lock(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def lock_file(fd: int, *, shared: bool = False, wait: bool = True) -> bool:
    """Lock an open file until the last process that inherited it closes it; False when others have it."""
    import fcntl  # not on Windows, where the settings must still load

    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def starters_lock() -> Iterator[None]:
    """One process at a time starts or stops; the others wait and find it done."""
    make_passable(STATE)
    with open_lock(STATE / "starting.lock") as fd:
        lock_file(fd)
        yield


def is_user() -> bool:
    """Whether this process counts on the servers."""
    return _users is not None


def join_users() -> None:
    """Hold the users' lock as long as this process lives; the kernel gives it back however it ends."""
    global _users
    if _users is None:
        make_passable(STATE)
        fd = os.open(STATE / "users.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        lock_file(fd, shared=True)
        _users = fd


def was_last_user() -> bool:
    """Whether no other process counts on the servers. If so, new ones wait until `leave_users()`."""
    last = _users is None or lock_file(_users, wait=False)
    if not last:
        leave_users()  # the attempt gave the shared lock away
    return last


def leave_users() -> None:
    global _users
    if _users is not None:
        os.close(_users)
        _users = None
