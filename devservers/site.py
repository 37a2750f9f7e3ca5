"""Where the servers keep their files: in the state folder, or where the account that runs them gets to."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devservers.addresses import KEY, STATE, run_dir
from devservers.errors import EmbeddedError
from devservers.folders import hand_over, make_passable
from devservers.identity import belongs_to, identity, our_uids, stand_in
from devservers.processes import succeeds

ELSEWHERE = Path("/var/lib")  # only root writes there, and unlike /var/tmp nothing sweeps it
STATE_BYTES = 900  # PostgreSQL cuts paths at 1,023 without a word


def check_platform() -> None:
    if sys.platform == "win32":
        raise EmbeddedError("The embedded servers need Linux or macOS: set DATABASE_URL and REDIS_URL to your own.")
    length = len(os.fsencode(STATE))
    if length > STATE_BYTES:
        raise EmbeddedError(
            f"The path of the folder for the servers' data is {length} bytes long and PostgreSQL takes {STATE_BYTES}: "
            f"move the project, or set EMBEDDED_DIR to a shorter path."
        )


@dataclass(frozen=True)
class Site:
    """The folder with everything of the servers, and how a process of theirs is started."""

    home: Path
    run_as: dict[str, Any]  # arguments of subprocess.Popen
    uid: int
    gid: int

    def own(self, folder: Path) -> Path:
        """Make `folder`, private to the servers. One that somebody else made is refused."""
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.stat()
        if found.st_uid not in our_uids():
            raise EmbeddedError(
                f"{folder} {belongs_to(found.st_uid)}: run as that user, remove it, or name another folder "
                f"in EMBEDDED_DIR."
            )
        if found.st_uid != self.uid:
            hand_over(folder, self.uid, self.gid)
        if found.st_mode & 0o077:
            folder.chmod(0o700)
        return folder


def settle_site() -> Site:
    """Find out as whom the servers run and where their files are, and make the folder of the sockets."""
    run_as, uid, gid = identity()
    sockets = run_dir()
    if sockets.is_symlink() and home_folder() == STATE:
        sockets.unlink()  # it came along with a copy of another checkout, and leads to that one's servers
    reach = ["/bin/sh", "-c", 'cd "$1"', "sh", str(STATE)]
    if os.geteuid() == 0 and not succeeds(reach, run_as) and home_folder() == STATE:
        _link_elsewhere()
    home = home_folder()
    if home != STATE:
        # Root's own: the account that runs the servers must not exchange what root opens in it.
        make_passable(home)
        found = home.lstat()
        if home.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise EmbeddedError(f"{home} {belongs_to(found.st_uid)} or is open to others: remove it.")
    site = Site(home, run_as, uid, gid)
    site.own(sockets if home == STATE else home / "run")
    return site


def is_settled() -> bool:
    """Whether the folder of the sockets is there, ours, and this checkout's: only then an answer on a socket counts."""
    return is_private(run_dir()) and run_dir().is_symlink() == (home_folder() != STATE)


def elsewhere_folder() -> Path:
    return ELSEWHERE / f"ounass-embedded-{KEY}"


def home_folder() -> Path:
    """The state folder, or the one that took its place because the servers could not reach it."""
    sockets = run_dir()
    moved = sockets.is_symlink() and sockets.readlink() == elsewhere_folder() / "run"
    return elsewhere_folder() if moved else STATE


def _link_elsewhere() -> None:
    """Have the servers keep their files where an unprivileged account gets to, reached from here by a link.

    The alternative would be to open somebody's home folder to that account.
    """
    if (STATE / "postgres").exists():
        raise EmbeddedError(
            f"{STATE / 'postgres'} holds a database that {stand_in().pw_name} cannot reach, and PostgreSQL must run as "
            f"that account here: move the project to a folder open to it, or run `make reset`, which deletes the data."
        )
    sockets = run_dir()
    if is_private(sockets):
        shutil.rmtree(sockets)
    sockets.symlink_to(elsewhere_folder() / "run")


def is_private(sockets: Path) -> bool:
    """Whether the folder of the sockets is there. One that somebody else put there is refused."""
    try:
        found = sockets.lstat()
    except FileNotFoundError:
        return False
    if found.st_uid not in our_uids():
        raise EmbeddedError(
            f"{sockets} {belongs_to(found.st_uid)}: run as that user, remove it, or name another folder in "
            f"EMBEDDED_DIR."
        )
    return True
