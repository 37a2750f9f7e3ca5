"""Folders of the servers: made, handed over, deleted."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path


def make_passable(folder: Path) -> None:
    """Make a folder that others may cross but not list; one that exists is left as it is."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:  # perhaps only just: the first starters come all at once
        if not folder.is_dir():
            raise
    else:
        folder.chmod(0o711)  # mkdir's mode is subject to the umask


def hand_over(folder: Path, uid: int, gid: int) -> None:
    """Give a folder made in one of root's two ways to the other, once namespaces become allowed or refused."""
    os.chown(folder, uid, gid)
    for _, folders, files, at in os.fwalk(folder):
        for name in [*folders, *files]:
            os.chown(name, uid, gid, dir_fd=at, follow_symlinks=False)


def remove_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
