"""The suite runs on real servers: the embedded ones, or those that DATABASE_URL and REDIS_URL name."""

from config import embedded


def pytest_configure() -> None:
    embedded.ensure()
