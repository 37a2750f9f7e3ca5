"""The container image is built, and every command of docker-compose.yml started in it: `make test-image`.

It needs Docker; or, as root, buildah and debootstrap. Without a registry, the base is made of Debian's packages.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.db import connection

from config.tests.test_settings import PRODUCTION
from devservers import BASE_DIR
from tests.machines import machines, relay

BASE = "docker.io/library/python:3.13-slim"
PACKAGES = "python3,python3-venv,python-is-python3,ca-certificates"
RELEASE = "trixie"  # its Python is 3.13
OPTIONS = os.environ.get("IMAGE_BUILD_OPTIONS", "").split()  # how a machine of yours reaches packages, for example
COMPOSED: dict[str, dict[str, Any]] = yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text())["services"]
OURS = {name: service for name, service in COMPOSED.items() if service["image"] == "ounass-product-management"}


def run(*command: str, seconds: int = 1800) -> str:
    done = subprocess.run(
        ["/usr/bin/env", *command], capture_output=True, text=True, timeout=seconds, cwd=BASE_DIR, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)[:200]}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def called(environment: dict[str, str], option: str) -> list[str]:
    return [f"{option}{name}={value}" for name, value in environment.items()]


ALIVE = ["python", "-m", "config.alive", "web"]  # the Dockerfile's


class Buildah:
    """Builds without a registry and without a daemon. What it starts shares its files, and a network of their own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.call = ("buildah", "--root", f"{folder}/store", "--runroot", f"{folder}/run", "--storage-driver", "vfs")
        base = folder / "base"
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(base))
        for name in ("/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt"):  # how this machine reaches packages
            if Path(name).exists():
                shutil.copy(name, f"{base}{name}")
        made = run(*self.call, "from", "scratch").strip()
        run(*self.call, "add", made, str(base), "/")
        run(*self.call, "commit", "--rm", made, BASE)
        shutil.rmtree(base)
        dockerfile = folder / "Dockerfile"  # whose base is the one that was made
        dockerfile.write_text(re.sub(r"@sha256:\w+", "", (BASE_DIR / "Dockerfile").read_text()))
        options = ["--pull-never", "--isolation=chroot", f"--file={dockerfile}", *OPTIONS]
        run(*self.call, "build", *options, "--tag=opm", ".")
        self.made = run(*self.call, "from", "--pull-never", "opm").strip()
        places: dict[str, Any] = {"database": connection.settings_dict, "broker": broker_address()}
        (self.machine,) = stack.enter_context(machines(1, storage="http://127.0.0.1:9", **places))

    def servers(self) -> dict[str, str]:
        return {name: self.machine.environment[name] for name in ("DATABASE_URL", "REDIS_URL")}

    def command(self, _name: str, words: list[str], environment: dict[str, str]) -> list[str]:
        inside = [*self.call, "run", "--isolation=chroot", self.made, "--", "env", *called(environment, ""), *words]
        return [*self.machine.run, *inside]

    inside = command


class Docker:
    """What it starts has read-only files and this machine's network."""

    def __init__(self, _folder: Path, stack: ExitStack) -> None:
        run("docker", "build", *OPTIONS, "--tag", "opm", ".")
        here = connection.settings_dict
        self.database = stack.enter_context(relay("127.0.0.1", f"{here['HOST']}/.s.PGSQL.{here['PORT']}"))
        self.broker = stack.enter_context(relay("127.0.0.1", broker_address().removeprefix("unix://")))

    def servers(self) -> dict[str, str]:
        here = connection.settings_dict
        database = f"postgresql://{here['USER']}@127.0.0.1:{self.database}/{here['NAME']}"
        return {"DATABASE_URL": database, "REDIS_URL": f"redis://127.0.0.1:{self.broker}/0"}

    def command(self, name: str, words: list[str], environment: dict[str, str]) -> list[str]:
        hard = ["--init", "--read-only", "--cap-drop=ALL", "--tmpfs=/tmp", "--network=host", "--pids-limit=300"]
        return ["docker", "run", "--rm", f"--name=opm-{name}", *hard, *called(environment, "--env="), "opm", *words]

    def inside(self, name: str, words: list[str], environment: dict[str, str]) -> list[str]:
        return ["docker", "exec", *called(environment, "--env="), f"opm-{name}", *words]


def broker_address() -> str:
    return str(settings.REDIS_URL)


Image = Buildah | Docker


@pytest.fixture(scope="module")
def image(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> Iterator[Buildah | Docker]:
    folder = tmp_path_factory.mktemp("image")
    with ExitStack() as stack:
        if subprocess.run(["/usr/bin/env", "docker", "info"], capture_output=True, check=False).returncode == 0:
            yield Docker(folder, stack)
        elif os.geteuid() == 0 and shutil.which("buildah") and shutil.which("debootstrap"):
            yield Buildah(folder, stack)
        else:
            pytest.skip("There is no builder: neither does Docker run, nor has root buildah and debootstrap.")


@pytest.fixture
def environment(image: Image) -> dict[str, str]:
    return {**PRODUCTION, **image.servers()}


def says(image: Image, words: str, environment: dict[str, str]) -> str:
    return run(*image.command("once", words.split(), environment), seconds=300)


def test_the_image_has_everything_that_production_needs(image: Image, environment: dict[str, str]) -> None:
    says(image, "python manage.py check --deploy --fail-level WARNING", environment)
    assert says(image, "id -u", environment).strip() == "10001"


@contextmanager
def started(image: Image, name: str, environment: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A service by the command that Compose gives it, until the block ends."""
    words = OURS[name].get("command") or web_command()
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["/usr/bin/env", *image.command(name, words, environment)],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(40)


def web_command() -> list[str]:
    dockerfile = (BASE_DIR / "Dockerfile").read_text().replace("\\\n", "")
    (line,) = [line for line in dockerfile.splitlines() if line.startswith('CMD ["gunicorn"')]
    return [word.strip(' "') for word in line.removeprefix("CMD [").rstrip("]").split(",")]


def test_every_service_of_compose_starts_and_is_healthy(
    image: Image, environment: dict[str, str], tmp_path: Path
) -> None:
    logs = {name: tmp_path / f"{name}.log" for name in OURS}
    with started(image, "migrate", environment, logs["migrate"]) as migrate:
        assert migrate.wait(300) == 0, logs["migrate"].read_text()
    with ExitStack() as stack:
        others = [name for name in OURS if name != "migrate"]
        processes = {name: stack.enter_context(started(image, name, environment, logs[name])) for name in others}

        def asks(name: str, words: list[str]) -> Callable[[], bool]:
            command = ["/usr/bin/env", *image.inside(name, words, environment)]
            return lambda: subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0

        signs: dict[str, Callable[[], bool]] = {
            name: asks(name, OURS[name].get("healthcheck", {}).get("test", ["", *ALIVE])[1:])
            for name in others
            if name not in ("beat", "metrics")
        }
        fetched = "import urllib.request as u; assert b'catalogue_up' in u.urlopen('http://127.0.0.1:9108/').read()"
        signs["metrics"] = asks("metrics", ["python", "-c", fetched])
        signs["beat"] = lambda: "beat: Starting" in logs["beat"].read_text()
        end = time.monotonic() + 240
        while signs and time.monotonic() < end:
            time.sleep(1)
            signs = {name: is_well for name, is_well in signs.items() if not is_well()}
        ill = {*signs, *(name for name, process in processes.items() if process.poll() is not None)}
        assert {name: logs[name].read_text()[-1500:] for name in ill} == {}
