"""While a new release migrates, workers of the one before go on."""

from django.db.migrations import AlterModelTable, DeleteModel, RemoveField, RenameField, RenameModel
from django.db.migrations.loader import MigrationLoader

OURS = ("accounts", "catalog", "notifications", "schedule")
REMOVING = (RemoveField, DeleteModel, RenameField, RenameModel, AlterModelTable)
# What the release before did not use any more, as in ("catalog", "0030_without_spool").
UNUSED: set[tuple[str, str]] = set()


def test_no_migration_takes_away_what_the_release_before_it_uses() -> None:
    migrations = MigrationLoader(None).disk_migrations
    removing = {
        (app, name)
        for (app, name), migration in migrations.items()
        if app in OURS and any(isinstance(operation, REMOVING) for operation in migration.operations)
    }
    assert removing == UNUSED
