"""Keep the database and the stored files in one folder, while everything runs."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.backup import BackupError, make_backup


class Command(BaseCommand):
    help = "Back up the database and the stored files into a new folder. Web, workers and beat may go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="a folder that is not there yet")

    def handle(self, *, folder: Path, **_: Any) -> None:
        try:
            about = make_backup(folder, self.stdout.write)
        except BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{folder} has the database and {about['files']:,} files of {about['file_bytes']:,} bytes.")
