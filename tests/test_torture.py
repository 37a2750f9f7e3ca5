"""A few of the imports that `make torture` disturbs by the hundred, and a part of a minute of `make soak`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from config.settings import base
from tests.torture.blows import cut_off_broker, empty_broker

# This seed draws a frozen worker, a killed one, a crash of the database, cut connections and an emptied broker: at a
# chunk, at the plan, while applying, while undoing and while sending mail.
SEED = "126715"


def ends_well(command: str) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", *command.split()],
        cwd=base.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_an_import_that_is_disturbed_ends_as_one_that_is_not() -> None:
    ends_well(f"-m tests.torture --runs 4 --restarts 3 --items 1000 --seed {SEED}")


def test_nothing_is_lost_or_doubled_while_everything_goes_on_and_breaks() -> None:
    """This seed draws an outage of the storage, a full disk, a failing receiver and a crash of the database. The tests
    beside it have the cores too, so the health check may take longer than on a machine of its own."""
    ends_well("-m tests.torture.soak --minutes 0.3 --seed 7 --health-ms 5000")


def test_a_broker_that_is_down_already_takes_no_further_harm(settings: Any, tmp_path: Path) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    empty_broker(0)
    cut_off_broker(0)
