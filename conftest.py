"""The suite runs on real servers: the embedded ones, or those that DATABASE_URL and REDIS_URL name."""

import os
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.core.cache import caches

import devservers

# A few examples of each property, the same every time; HYPOTHESIS_PROFILE=thorough tries many new ones.
hypothesis.settings.register_profile("quick", max_examples=8, derandomize=True, deadline=None, database=None)
examples = int(os.environ.get("FUZZ_EXAMPLES", "1000"))
hypothesis.settings.register_profile("thorough", max_examples=examples, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_configure() -> None:
    devservers.ensure()


@pytest.fixture(autouse=True)
def own_files(settings: Any, tmp_path: Path) -> None:
    """What a test stores goes away with it."""
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture(autouse=True)
def nothing_tried_yet(settings: Any) -> None:
    """What an earlier test counted or cached is none of this one's business."""
    for name in settings.CACHES:
        caches[name].clear()
