"""While a new release migrates, workers of the one before go on."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently
from django.db import connection
from django.db.migrations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterModelTable,
    CreateModel,
    DeleteModel,
    Migration,
    RemoveField,
    RenameField,
    RenameModel,
    RunSQL,
)
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

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


def test_what_the_release_before_writes_needs_no_column_that_it_does_not_know() -> None:
    """Its INSERTs leave a new column out: the column is nullable, or the database has a default for it."""
    wanting = [
        (app, name, f"{operation.model_name}.{operation.name}")
        for (app, name), migration in MigrationLoader(None).disk_migrations.items()
        if app in OURS
        for operation in migration.operations
        if isinstance(operation, AddField)
        and operation.model_name.lower() not in _made_by(migration)
        and not (operation.field.null or operation.field.has_db_default() or operation.field.many_to_many)
    ]
    assert wanting == []


# What builds an index or checks every row while it holds a lock, on a table that a release had before: from now on
# AddIndexConcurrently, and constraints that are validated apart.
LOCKING = (AddIndex, AddConstraint, RunSQL)
BEFORE_THE_RULE = {"accounts": 9, "catalog": 30, "notifications": 4, "schedule": 4}  # the numbers of migrations


def test_no_migration_locks_a_table_while_it_looks_at_all_its_rows() -> None:
    """Imports go on while a release migrates; they would wait for the lock, and fail by their time limit."""
    locking = [
        (app, name, type(operation).__name__)
        for (app, name), migration in MigrationLoader(None).disk_migrations.items()
        if app in OURS and int(name[:4]) > BEFORE_THE_RULE[app]
        for operation in migration.operations
        if isinstance(operation, LOCKING)
        and not isinstance(operation, (AddIndexConcurrently, AddConstraintNotValid))
        and getattr(operation, "model_name", "").lower() not in _made_by(migration)
    ]
    assert locking == []


def _made_by(migration: Migration) -> set[str]:
    return {operation.name.lower() for operation in migration.operations if isinstance(operation, CreateModel)}


# What a database of the release before squashing has applied.
BEFORE_SQUASHING = {
    "accounts": "0001_initial 0002_login_session 0003_schedule",
    "catalog": """
        0001_initial 0002_storage 0003_schedule 0004_feed_reading 0005_import_reading 0006_feed_guards
        0007_undo_history_pins 0008_issues_of_items 0009_attempts 0010_chunks 0011_product_lists 0012_upload_key
        0013_retention 0014_invalid_items 0015_metrics 0016_feed_table_encoding 0017_product_storage 0018_words
        0019_product_index_columns 0020_known_items 0021_word_products 0022_catalog_version_of_applied 0023_words_named
        0024_unusual_outcomes 0025_catalog_versions 0026_words_apart 0027_changed_fields 0028_words_apart_by_expression
        0029_price_guard_in_other_currencies
    """,
    "notifications": """
        0001_message 0002_outage 0003_schedule 0004_preference 0005_schedule_digests 0006_schedule_forgetting
        0007_message_parked
    """,
    "schedule": "0001_initial 0002_canary",
}


@pytest.fixture
def before_squashing(db: None) -> MigrationExecutor:
    """The database says what that release had applied, and the group of those who confirm has its permission."""
    recorder = MigrationRecorder(connection)
    recorder.migration_qs.filter(app__in=OURS).delete()
    for app, names in BEFORE_SQUASHING.items():
        for name in names.split():
            recorder.record_applied(app, name)
    Permission.objects.filter(codename="confirm_importrun").update(codename="apply_importrun")
    return MigrationExecutor(connection)


def test_a_database_from_before_squashing_needs_only_what_is_newer(before_squashing: MigrationExecutor) -> None:
    before_squashing.loader.check_consistent_history(connection)
    plan = before_squashing.migration_plan(before_squashing.loader.graph.leaf_nodes())
    needed = {(migration.app_label, migration.name) for migration, _backwards in plan}
    assert ("catalog", "0003_confirm_permission") in needed
    squashed = {key for key, migration in before_squashing.loader.disk_migrations.items() if migration.replaces}
    applied = {(app, name) for app, names in BEFORE_SQUASHING.items() for name in names.split()}
    assert not needed & (squashed | applied)


def test_who_might_confirm_imports_still_may(before_squashing: MigrationExecutor) -> None:
    before_squashing.migrate([("catalog", "0003_confirm_permission")])
    assert Group.objects.get(name="approver").permissions.filter(codename="confirm_importrun").exists()
    assert not Permission.objects.filter(codename="apply_importrun").exists()
