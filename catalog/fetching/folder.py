"""Files from a drop folder of this machine, below FEED_DROP_ROOT and nowhere else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from django.conf import settings

from catalog.fetching.failures import FetchFailed, FetchRefused, clean_words
from catalog.fetching.targets import PIECE_BYTES, Entries, Found, Listed, Spool, Target, same_file, take_up


def drop_folder(path: str) -> Path:
    """The folder of this name below FEED_DROP_ROOT, links followed. Raises `FetchRefused` for any other."""
    root = settings.FEED_DROP_ROOT
    if not root:
        raise FetchRefused("no_drop_root", "There are no drop folders here: FEED_DROP_ROOT is not set.")
    root = Path(os.path.realpath(root))
    folder = Path(os.path.realpath(root / path.strip("/")))
    if "\0" in path or not folder.is_relative_to(root):
        raise FetchRefused(
            "forbidden_folder", f"The folder {clean_words(path)} is forbidden: it is not below FEED_DROP_ROOT."
        )
    return folder


def fetch_folder(target: Target, spool: Spool) -> Found:
    """The newest complete file of the folder. Links and whatever else is no plain file are left out."""
    folder = drop_folder(target.place.path)
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise FetchFailed(
            "no_folder", f"The folder {clean_words(target.place.path)} cannot be opened: {error.strerror}."
        ) from error
    try:
        file, found = take_up(_list_files(opened), target, spool)
        if found.unchanged:
            return found
        shown = clean_words(file.name, 100)
        try:
            number = os.open(file.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=opened)
        except OSError as error:
            raise FetchFailed("no_file", f"{shown} cannot be read: {error.strerror}.") from error
        with os.fdopen(number, "rb", buffering=0) as source:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise FetchFailed("no_file", f"{shown} is not a plain file.")
            while piece := source.read(PIECE_BYTES):
                spool.write(piece)
            facts = os.fstat(number)
        same_file(file, (facts.st_size, _changed_at(facts)), spool.size)
        return found
    finally:
        os.close(opened)


def _list_files(folder: int) -> list[Listed]:
    files: Entries[Listed] = Entries()
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                is_plain = entry.is_file(follow_symlinks=False)
                facts = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # it went away
            if is_plain:
                files.append(Listed(entry.name, facts.st_size, _changed_at(facts)))
    return files


def _changed_at(facts: os.stat_result) -> float:
    """When it was written to; copying may set the first of these back, and nothing the second."""
    return max(facts.st_mtime, facts.st_ctime)
