"""How much of the memory PostgreSQL may keep its tables and indexes in."""

import os
from collections.abc import Iterable
from pathlib import Path

# Of a container, in the two ways in which kernels tell; on a machine without one they are missing, or no number.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
LEAST, MOST = 128 * 2**20, 4 * 2**30


def shared_buffers() -> str:
    """What `EMBEDDED_SHARED_BUFFERS` says; else a quarter of the memory, as PostgreSQL's manual has it, up to 4 GB.

    It is taken page by page, as there is something to keep.
    """
    size = min(max(memory_bytes() // 4, LEAST), MOST)
    return os.environ.get("EMBEDDED_SHARED_BUFFERS") or f"{size // 2**20}MB"


def memory_bytes(limits: Iterable[Path] = _LIMITS) -> int:
    """Bytes that this machine has, or the container that it is."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in limits:
        if limit.exists() and (size := limit.read_text().strip()).isdigit():
            sizes.append(int(size))
    return min(sizes)
