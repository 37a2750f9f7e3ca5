"""The suite runs on real servers: the embedded ones, or those that DATABASE_URL and REDIS_URL name."""

from pathlib import Path
from typing import Any

import pytest

from config import embedded


def pytest_configure() -> None:
    embedded.ensure()


@pytest.fixture(autouse=True)
def own_files(settings: Any, tmp_path: Path) -> None:
    """What a test stores goes away with it."""
    settings.MEDIA_ROOT = tmp_path / "media"
