"""A few of the imports that `make torture` disturbs by the hundred, in servers of their own."""

import subprocess
import sys

from config.settings import base

# This seed draws a frozen worker, a killed one, a crash of the database and cut connections.
SEED = "48606"


def test_an_import_that_is_disturbed_ends_as_one_that_is_not() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.torture", "--runs", "4", "--items", "1000", "--seed", SEED],
        cwd=base.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
