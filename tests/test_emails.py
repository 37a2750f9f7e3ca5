"""Every e-mail that the program has, wherever it is told."""

from pathlib import Path

import pytest

from config.embedded import BASE_DIR
from notifications.kinds import FAILURE_DIGEST, KINDS

EMAILS = BASE_DIR / "templates" / "emails"
FOLDERS = sorted(path for path in EMAILS.iterdir() if path.is_dir())


def named(folder: Path) -> str:
    return folder.name


def test_every_email_can_be_chosen_and_every_choice_is_an_email() -> None:
    assert {folder.name for folder in FOLDERS} == {*KINDS, FAILURE_DIGEST}


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_every_email_has_its_three_parts_and_a_way_to_stop_it(folder: Path) -> None:
    assert (folder / "subject.txt").exists()
    for part in ("body.txt", "body.html"):
        assert f'{{% stop_link "{folder.name}" %}}' in (folder / part).read_text()


@pytest.mark.parametrize("page", sorted(EMAILS.rglob("*.html")), ids=named)
def test_nothing_in_an_email_goes_unescaped(page: Path) -> None:
    text = page.read_text()
    assert "|safe" not in text
    assert "autoescape off" not in text
