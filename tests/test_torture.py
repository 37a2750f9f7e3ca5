"""A few of the imports that `make torture` disturbs by the hundred, in servers of their own."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from config.settings import base
from tests.torture.blows import cut_off_broker, empty_broker

# This seed draws a frozen worker, a killed one, a crash of the database, cut connections and an emptied broker: at a
# chunk, at the plan, while applying, while undoing and while sending mail.
SEED = "126715"


def test_an_import_that_is_disturbed_ends_as_one_that_is_not() -> None:
    run = subprocess.run(
        [sys.executable, *f"-m tests.torture --runs 4 --restarts 3 --items 1000 --seed {SEED}".split()],
        cwd=base.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_broker_that_is_down_already_takes_no_further_harm(settings: Any, tmp_path: Path) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    empty_broker(0)
    cut_off_broker(0)
