"""The suite runs on real servers: the embedded ones, or those that DATABASE_URL and REDIS_URL name."""

from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from config import embedded


def pytest_configure() -> None:
    embedded.ensure()


@pytest.fixture(autouse=True)
def own_files(settings: Any, tmp_path: Path) -> None:
    """What a test stores goes away with it."""
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture(autouse=True)
def nothing_tried_yet() -> None:
    """What an earlier test counted or cached is none of this one's business."""
    cache.clear()
