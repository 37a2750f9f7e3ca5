"""Files from SFTP servers, whose key is pinned: nothing is sent to a server with another one."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import asyncssh

from catalog.fetching.connections import Pace, connect, describe_break
from catalog.fetching.failures import FetchFailed, FetchRefused, clean_words
from catalog.fetching.targets import (
    PIECE_BYTES,
    Entries,
    Found,
    Listed,
    Spool,
    Target,
    login_refused,
    same_file,
    take_up,
)

Result = TypeVar("Result")


def fetch_sftp(target: Target, spool: Spool) -> Found:
    """The file at the path, or the newest complete one of the folder that fits the pattern."""
    if not target.host_key:
        raise FetchRefused(
            "no_host_key",
            f"The key of {target.place.shown_host} is not known yet. Test the connection on the feed's page: that "
            "shows the key, for you to confirm.",
        )
    return _run(_fetch(target, spool), target, spool.pace)


def read_host_key(target: Target, pace: Pace) -> str:
    """The server's key, as one line to pin. Nobody logs in for it."""

    async def ask() -> asyncssh.SSHKey | None:
        connection = connect(target.place, pace)
        connection.setblocking(False)
        return await asyncssh.get_server_host_key(target.place.host, sock=connection, config=None)

    key = _run(ask(), target, pace)
    if key is None:
        raise FetchFailed("not_ssh", f"{target.place.shown_host} shows no key.")
    return str(key.export_public_key("openssh").decode()).strip()


def key_fingerprint(host_key: str) -> str:
    """The key as people compare it, for example SHA256:… Raises `ValueError` for what is no key."""
    key = asyncssh.import_public_key(host_key)
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


def _run(work: Coroutine[Any, Any, Result], target: Target, pace: Pace) -> Result:
    host = target.place.shown_host

    async def within_time() -> Result:
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait({task}, timeout=0.2)
            try:
                pace.check()
            except FetchFailed:
                task.cancel()
        return await task

    try:
        return asyncio.run(within_time())
    except asyncio.CancelledError:
        pace.check()
        raise
    except asyncssh.HostKeyNotVerifiable as error:
        raise FetchFailed(
            "host_key",
            f"{host} shows another key than the one that was kept. Nothing was sent to it. Ask its operator "
            "whether the key was changed; if so, forget the old one on the feed's page and test the connection.",
            again=False,
        ) from error
    except asyncssh.PermissionDenied as error:
        raise login_refused(host) from error
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as error:
        raise FetchFailed("no_file", f"{host} has no {clean_words(target.place.path)}.") from error
    except asyncssh.SFTPPermissionDenied as error:
        raise FetchFailed("no_right", f"{host} does not let us read {clean_words(target.place.path)}.") from error
    except asyncssh.SFTPError as error:
        pace.check()
        raise FetchFailed("sftp", f"{host} could not send the file: {clean_words(error.reason, 100)}.") from error
    except (asyncssh.Error, OSError, ValueError) as error:
        pace.check()
        why = clean_words(getattr(error, "reason", "") or describe_break(error), 100)
        raise FetchFailed("not_ssh", f"The conversation with {host} broke off: {why}.") from error


async def _fetch(target: Target, spool: Spool) -> Found:
    login = target.login
    # First, for it takes a while on purpose.
    keys = [asyncssh.import_private_key(login.secret, login.passphrase or None)] if login.kind == "key" else None
    connection = connect(target.place, spool.pace)
    connection.setblocking(False)
    # Whatever is left out here, the library takes from the home of the worker: keys, an agent, known hosts.
    async with (
        asyncssh.connect(
            target.place.host,
            sock=connection,
            config=None,
            known_hosts=([asyncssh.import_public_key(target.host_key)], [], []),
            username=login.username or "anonymous",
            password=login.secret if login.kind == "password" else None,
            client_keys=keys,
            agent_path=None,
            gss_host=None,
            preferred_auth=("publickey",) if keys else ("password", "keyboard-interactive"),
        ) as ssh,
        ssh.start_sftp_client() as sftp,
    ):
        path = target.place.path.removeprefix("/~/") or "."
        facts = await sftp.stat(path)
        if stat.S_ISDIR(facts.permissions or 0):
            files: Entries[Listed] = Entries()
            async for entry in sftp.scandir(path):
                name = entry.filename if isinstance(entry.filename, str) else entry.filename.decode(errors="replace")
                if stat.S_ISREG(entry.attrs.permissions or 0) and "/" not in name:
                    files.append(Listed(name, entry.attrs.size or 0, float(entry.attrs.mtime or 0)))
            file, found = take_up(files, target, spool)
            place = f"{path.rstrip('/')}/{file.name}"
        else:
            named = Listed(path.rpartition("/")[2], facts.size or 0, float(facts.mtime or 0))
            file, found = take_up([named], replace(target, pattern="", marker=""), spool)
            place = path
        if found.unchanged:
            return found
        async with sftp.open(place, "rb", block_size=PIECE_BYTES) as source:
            while piece := await source.read(PIECE_BYTES):
                spool.write(piece if isinstance(piece, bytes) else piece.encode())
        after = await sftp.stat(place)
        same_file(file, (after.size or 0, float(after.mtime or 0)), spool.size)
        return found
