"""Bring back what `backup` kept."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.backup import BackupError, restore_backup


class Command(BaseCommand):
    help = "Restore a backup's database and files, and migrate them. Stop web, workers and beat first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="that `backup` has written")
        parser.add_argument("--replace", action="store_true", help="lose what the database has now")

    def handle(self, *, folder: Path, replace: bool, **_: Any) -> None:
        try:
            warnings = restore_backup(folder, self.stdout.write, replace=replace)
        except BackupError as error:
            raise CommandError(str(error)) from error
        for warning in warnings:
            self.stderr.write(self.style.WARNING(warning))
        self.stdout.write(f"{folder} is restored. Start web, workers and beat.")
