"""An import and what it holds: the run, its staged items, the changes it plans, the issues it found."""

from copy import copy
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Value
from django.db.models.functions import Now
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from catalog.feeds.attributes import expected_value
from catalog.feeds.issues import Severity, code_named
from catalog.models.catalogue import CatalogVersion
from catalog.models.feed import Feed, Mode
from catalog.models.fields import ItemFields
from catalog.models.market import Market
from events.log import current_request_id


class Status(models.TextChoices):
    """Where an import is: received → staging → review → applying → applied, or off the path.

    What was applied can be taken back, and that too: applied → undoing → undone → redoing → applied.
    """

    RECEIVED = "received", _("Waiting")
    STAGING = "staging", _("Reading")
    REVIEW = "review", _("Needs confirmation")
    APPLYING = "applying", _("Applying")
    APPLIED = "applied", _("Applied")
    UNDOING = "undoing", _("Undoing")
    UNDONE = "undone", _("Undone")
    REDOING = "redoing", _("Applying again")
    DISCARDED = "discarded", _("Discarded")
    FAILED = "failed", _("Failed")


class Reading(models.TextChoices):
    """How the file could be read: as it is, after repairs, or its items one by one."""

    STRICT = "strict", _("As it is")
    REPAIRED = "repaired", _("Repaired")
    SALVAGED = "salvaged", _("Salvaged item by item")


OPEN = (Status.RECEIVED, Status.STAGING, Status.REVIEW, Status.APPLYING)
PLANNED = (
    Status.REVIEW,
    Status.APPLYING,
    Status.APPLIED,
    Status.UNDOING,
    Status.UNDONE,
    Status.REDOING,
)
BUSY = (Status.RECEIVED, Status.STAGING, Status.APPLYING, Status.UNDOING, Status.REDOING)
ENDS = (Status.APPLIED, Status.UNDONE, Status.DISCARDED, Status.FAILED)


# Whether the words of some changed product are not known yet: a condition in SQL.
WORDS_DUE = "EXISTS (SELECT FROM catalog_importrun WHERE words_due)"


class ImportRunQuerySet(models.QuerySet["ImportRun"]):
    def before(self, run: "ImportRun") -> "ImportRunQuerySet":
        """The imports of the run's feed before it, the newest first."""
        return self.filter(feed=run.feed_id, pk__lt=run.pk).order_by("-pk")

    def planned(self) -> "ImportRunQuerySet":
        """Imports whose plan was made, whatever became of it."""
        return self.exclude(plan_hash="")


class ImportRun(models.Model):
    """One file on its way into the catalogue.

    The counts of items add up to `items` from review on; the database checks it. `archived`, `archive_conflict` and
    `archive_left_out` count products that are not in the file, and so stand beside the sum. `pinned` are unchanged only
    because a person pinned what differs. Of an import that was undone, `undone`, `kept` and `gone` add up to what it
    had applied.
    """

    COUNTS = ("items", "created", "changed", "unchanged", "existing", "duplicate", "invalid", "archived", "conflict")

    feed = models.ForeignKey(Feed, models.PROTECT, related_name="runs", verbose_name=_("feed"))
    mode = models.TextField(_("mode"), choices=Mode)
    auto_apply = models.BooleanField(_("apply without asking"), default=False)
    status = models.TextField(_("status"), choices=Status, default=Status.RECEIVED)
    history = models.JSONField(default=list, help_text=_("Every status with its time and who caused it."))
    error_code = models.TextField(blank=True, default="")
    error = models.TextField(_("error"), blank=True, default="")

    # Uploaded names are data: the file is stored under a name of ours, and `file_name` is shown.
    file = models.FileField(_("file"), max_length=255)
    file_name = models.TextField(_("file name"))
    file_size = models.BigIntegerField(_("size"))
    sha256 = models.CharField(max_length=64)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("uploaded by"),
        db_index=False,  # an index below begins with it
    )
    request_id = models.TextField(
        default=current_request_id,
        db_default="",
        blank=True,
        help_text=_("The last request for it: its upload, its confirmation, …"),
    )
    created_at = models.DateTimeField(_("uploaded"), auto_now_add=True)
    changed_at = models.DateTimeField(db_default=Now(), help_text=_("When it got its status."))
    finished_at = models.DateTimeField(_("finished"), null=True)
    next_try_at = models.DateTimeField(null=True, help_text=_("When a worker looks at it again that had to wait."))

    reading = models.TextField(_("reading"), choices=Reading, default=Reading.STRICT)
    holds = models.JSONField(default=list, help_text=_("Why a person has to look: code and message of each reason."))
    bytes_read = models.BigIntegerField(default=0)
    in_chunks = models.BooleanField(null=True, help_text=_("False: read in one piece; true: cut into all its chunks."))
    spool = models.FileField(max_length=255, blank=True, help_text=_("The unpacked file, while it is read."))
    names = models.JSONField(default=list, help_text=_("The attributes that occur in the file."))
    coverage = models.JSONField(default=dict, help_text=_("How many items have a value, by attribute."))
    asked = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        help_text=_("Who asked whom to review it, when, with which note."),
    )
    meaning = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        help_text=_("What the plan does to prices and availability."),
    )
    plan_hash = models.CharField(max_length=64, blank=True, default="")
    planned_at = models.DateTimeField(null=True)
    catalog_version = models.BigIntegerField(
        default=0, help_text=_("The catalogue's, when the plan was begun; once it is applied, the one it made.")
    )
    # What the next import of the feed need not read again, and what this one did not: see KnownItem.
    known_from = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text=_("The import in whose items its own are looked for."),
    )
    planned_version = models.BigIntegerField(null=True, help_text=_("The catalogue's, when the plan was begun."))
    is_mirror = models.BooleanField(
        default=False, db_default=False, help_text=_("All of its items are known: the feed's next import begins here.")
    )
    has_lost_items = models.BooleanField(
        default=False, db_default=False, help_text=_("Its items are kept no longer, but for those of later imports.")
    )
    words_due = models.BooleanField(
        default=False, help_text=_("The words of the products that it changed are not known yet.")
    )
    seconds = models.JSONField(default=dict, help_text=_("How long stage, plan and apply took."))
    metrics = models.JSONField(default=dict, help_text=_("What each of them cost, in the database and of memory."))

    items = models.PositiveIntegerField(_("items"), default=0)
    created = models.PositiveIntegerField(_("new"), default=0)
    changed = models.PositiveIntegerField(_("changed"), default=0)
    unchanged = models.PositiveIntegerField(_("unchanged"), default=0)
    existing = models.PositiveIntegerField(_("existing"), default=0)
    duplicate = models.PositiveIntegerField(_("duplicates"), default=0)
    invalid = models.PositiveIntegerField(_("invalid"), default=0)
    conflict = models.PositiveIntegerField(_("conflicts"), default=0)
    archived = models.PositiveIntegerField(_("archived"), default=0)
    archive_conflict = models.PositiveIntegerField(_("archive conflicts"), default=0)
    left_out = models.PositiveIntegerField(_("left out"), default=0, db_default=0)
    archive_left_out = models.PositiveIntegerField(_("archiving left out"), default=0, db_default=0)
    pinned = models.PositiveIntegerField(_("kept by pins"), default=0)
    undone = models.PositiveIntegerField(_("undone"), default=0)
    kept = models.PositiveIntegerField(_("kept: changed since"), default=0)
    gone = models.PositiveIntegerField(_("could not be undone"), default=0)

    objects = ImportRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("import")
        default_permissions = ("add", "view")
        permissions = [
            ("confirm_importrun", "Can confirm an import"),
            ("discard_importrun", "Can discard an import"),
            ("undo_importrun", "Can undo an import, and apply it again"),
        ]
        indexes = [
            # receive: the same bytes while an earlier run with the same settings is open
            models.Index("sha256", name="importrun_open_file", condition=models.Q(status__in=OPEN)),
            # quotas: what an account uploaded lately, and what of it is open
            models.Index("uploaded_by", "created_at", name="importrun_uploaded"),
            models.Index("uploaded_by", name="importrun_open_of_account", condition=models.Q(status__in=OPEN)),
            # the first page: the imports of the last days
            models.Index("created_at", name="importrun_created"),
            # Word.begun_by: whether any word may be missing
            models.Index("id", name="importrun_words_due", condition=models.Q(words_due=True)),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=Status.values), name="importrun_status_known"),
            models.CheckConstraint(condition=models.Q(mode__in=Mode.values), name="importrun_mode_known"),
            models.CheckConstraint(condition=models.Q(reading__in=Reading.values), name="importrun_reading_known"),
            models.CheckConstraint(
                condition=~models.Q(status__in=PLANNED)
                | models.Q(
                    items=models.F("created")
                    + models.F("changed")
                    + models.F("unchanged")
                    + models.F("existing")
                    + models.F("duplicate")
                    + models.F("invalid")
                    + models.F("conflict")
                    + models.F("left_out")
                ),
                name="importrun_counts_add_up",
            ),
            models.CheckConstraint(
                condition=~models.Q(status__in=[Status.UNDONE, Status.REDOING])
                | models.Q(
                    undone=models.F("created")
                    + models.F("changed")
                    + models.F("archived")
                    - models.F("kept")
                    - models.F("gone")
                ),
                name="importrun_undo_adds_up",
            ),
        ]

    def __str__(self) -> str:
        return f"Import {self.pk}"

    def move(self, *allowed: Status, to: Status, by: Any = None, reason: Any = "", **fields: Any) -> bool:
        """Change the status in one conditional UPDATE, with who, when and, where one was given, why.

        False when the run is not in an allowed one. The instance is refreshed either way, so that the caller can say
        what the run is in instead.
        """
        said = {"status": to, "by": str(by) if by else ""} | ({"reason": reason} if reason else {})
        step = models.Func(
            models.Value(said, models.JSONField()),
            template="(%(expressions)s || jsonb_build_object('at', statement_timestamp()))",
        )
        added = models.Func(models.F("history"), step, template="(%(expressions)s)", arg_joiner=" || ")
        fields |= {"changed_at": Now(), "next_try_at": None}
        if by:
            fields["request_id"] = current_request_id()
        if to in ENDS:
            fields.setdefault("finished_at", Now())
        moved = ImportRun.objects.filter(pk=self.pk, status__in=allowed).update(status=to, history=added, **fields)
        self.refresh_from_db()
        return bool(moved)

    def seconds_in_status(self) -> float:
        """For how long it has its status, by the database's clock: those of two workers may differ."""
        (passed,) = ImportRun.objects.filter(pk=self.pk).values_list(Now() - models.F("changed_at"), flat=True)
        return float(passed.total_seconds())

    def seconds_since_first(self, status: Status) -> float:
        """Since it had the status for the first time, by the database's clock. A lost worker's time is in it."""
        first = parse_datetime(next(step["at"] for step in self.history if step["status"] == status))
        (now,) = ImportRun.objects.filter(pk=self.pk).values_list(Now(), flat=True)
        return float((now - (first or now)).total_seconds())

    def seconds_since_upload(self) -> float:
        (passed,) = ImportRun.objects.filter(pk=self.pk).values_list(Now() - models.F("created_at"), flat=True)
        return float(passed.total_seconds())

    def products_changed_since(self) -> list[str] | None:
        """The products that others changed since the plan was begun, or applied; None when too many to list."""
        return CatalogVersion.products_changed_since(self.market_id, self.catalog_version, except_by_run=self.pk)

    @property
    def market_id(self) -> int:
        """The market whose products it changes: its feed's, which stays."""
        market: Any = self.feed.market_id
        return int(market)

    @property
    def is_busy(self) -> bool:
        """Something works on it, or will."""
        return self.status in BUSY

    @property
    def counts(self) -> dict[str, int]:
        counts = {name: getattr(self, name) for name in self.COUNTS}
        return counts | {"left_out": self.left_out} if self.left_out else counts

    @property
    def is_useless(self) -> bool:
        """No item of the file is valid, and nothing came of it."""
        return bool(self.items and self.items == self.invalid and not self.archived)

    @property
    def has_changes(self) -> bool:
        """Whether confirming would change anything."""
        return bool(self.created or self.changed or self.archived)


class Chunk(models.Model):
    """A part of a big file that is read apart, by whichever worker is free. The row goes when all of them are read.

    The fields up to `is_last` are those of `catalog.feeds.reading.split.Piece`, `tags` and `item` those of its `Shell`.
    `names` and `unknown` are what its items have of `catalog.feeds.cleaning.check.Occurring`.
    """

    run = models.ForeignKey(ImportRun, models.CASCADE, related_name="chunks", db_index=False)
    start = models.BigIntegerField()
    end = models.BigIntegerField()
    lines = models.PositiveIntegerField()
    places = models.PositiveIntegerField()
    room = models.PositiveIntegerField()
    is_last = models.BooleanField()
    tags = models.TextField()
    item = models.TextField()
    is_read = models.BooleanField(default=False)
    names = models.JSONField(default=list)
    unknown = models.JSONField(default=dict)
    cost = models.JSONField(default=dict, help_text=_("As in the run's metrics."))

    class Meta:
        default_permissions = ()
        ordering = ["run", "start"]
        constraints = [models.UniqueConstraint("run", "start", name="chunk_one_per_place")]

    def __str__(self) -> str:
        return f"{self.run}, bytes {self.start:,} to {self.end:,}"


class Attempt(models.Model):
    """Somebody works on a run, a fetch or an export, or did and was lost. The row goes when the work ends.

    `kind` and `number` are those of the advisory lock that the worker holds with its connection, `backend`.
    """

    pk = models.CompositePrimaryKey("kind", "number")
    # No constraint: it would lock the run's row, which an import that is being applied holds to its end.
    run = models.ForeignKey(ImportRun, models.CASCADE, null=True, related_name="attempts", db_constraint=False)
    kind = models.PositiveSmallIntegerField()
    number = models.PositiveIntegerField()
    count = models.PositiveSmallIntegerField(help_text=_("This one, and those before it whose workers were lost."))
    backend = models.IntegerField()
    server_started_at = models.DateTimeField()
    begun_at = models.DateTimeField(db_default=Now(), help_text=_("The first of them."))
    alive_at = models.DateTimeField(help_text=_("By the database's clock."))
    called = models.BooleanField(
        default=False, db_default=False, help_text=_("A task came meanwhile, found the lock taken and ended.")
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.run}, attempt {self.count}"


class ItemState(models.TextChoices):
    VALID = "valid", _("Valid")
    INVALID = "invalid", _("Invalid")
    DUPLICATE = "duplicate", _("Duplicate")


PROBES_BELOW = UUID("08000000-0000-0000-0000-000000000000")


class StagedItem(ItemFields):
    """One item of the file, cleaned, waiting. Written by COPY, deleted when the run ends; invalid ones stay longer.

    Those of a big feed's last import stay, for the next one need not read them again: `KnownItem`. So do the earlier
    ones that it found in this way. `digest` stands for the item's bytes, `shape` for the names of its elements.
    """

    pk = models.CompositePrimaryKey("run_id", "position")
    # No constraint: it would be checked row by row while a million rows are copied in.
    run = models.ForeignKey(ImportRun, models.CASCADE, related_name="staged", db_constraint=False, db_index=False)
    position = models.PositiveIntegerField()
    line = models.PositiveIntegerField()
    product_id = models.TextField(db_collation="C")
    state = models.TextField(choices=ItemState)
    issues = models.JSONField(default=list)
    digest = models.UUIDField(null=True)
    shape = models.BigIntegerField(null=True)
    # The columns for which the item has no value that is understood: the plan fills in what is known of the product.
    kept = ArrayField(models.TextField(), null=True)

    class Meta:
        default_permissions = ()
        indexes = [
            # known_values: the items with columns to fill in
            models.Index("run", "position", name="stageditem_kept", condition=models.Q(kept__isnull=False)),
            # the invalid items of a run, page by page, and the first of them for its mail: few among a million
            models.Index("run", "position", name="stageditem_invalid", condition=models.Q(state="invalid")),
        ]

    def __str__(self) -> str:
        return f"Item {self.position}: {self.product_id}"

    def moved_to(self, run: ImportRun, position: int, line: int) -> "StagedItem":
        """The same item where it stands in another file; it is not saved."""
        moved = copy(self)
        moved.run, moved.position, moved.line = run, position, line
        moved.issues = [[*issue[:3], issue[3] + line - self.line] for issue in self.issues]
        return moved


class KnownItem(models.Model):
    """An item of a file and where its row is: in an import, `from_run`, at `from_position`.

    While an import is read, those of its items that are as they were in the feed's last import, at `last_position`, and
    need no row of their own. Once it is planned, its own are here, too; when it is applied, the next import finds its
    items here. It holds what has to be compared with items that are new: docs/decisions/0037-a-feed-has-a-mirror.md.
    """

    pk = models.CompositePrimaryKey("run_id", "position")
    # As with staged items, no constraint that would be checked row by row.
    run = models.ForeignKey(ImportRun, models.CASCADE, related_name="known", db_constraint=False, db_index=False)
    position = models.PositiveIntegerField()
    line = models.PositiveIntegerField()
    last_position = models.PositiveIntegerField(null=True)
    from_run = models.ForeignKey(ImportRun, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    from_position = models.PositiveIntegerField()
    digest = models.UUIDField(null=True)
    shape = models.BigIntegerField(null=True)
    product_id = models.TextField(db_collation="C")
    currency = models.TextField()
    gtin = models.TextField()
    item_group_id = models.TextField()
    compared = models.BigIntegerField(null=True, help_text=_("What comparisons between items look at; null: invalid."))
    is_settled = models.BooleanField(help_text=_("Once it is applied, its product is as the item says."))

    class Meta:
        default_permissions = ()
        indexes = [
            # one in thirty-two, which tells where the others are: with all of them, each row would go to another page
            models.Index("run", "digest", name="knownitem_probe", condition=models.Q(digest__lt=PROBES_BELOW)),
        ]

    def __str__(self) -> str:
        return f"Item {self.position}: {self.product_id}"


class Shape(models.Model):
    """The names of an item's elements, by the number that stands for them: `tags`, and what else it has of names."""

    number = models.BigIntegerField(primary_key=True)
    tags = ArrayField(models.TextField())
    more = ArrayField(models.TextField())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Shape {self.number}"


class RunIssue(models.Model):
    """How often one issue occurs in a run, with a few examples: `{"line", "product_id", "found"}`."""

    EXAMPLES = 5

    run = models.ForeignKey(ImportRun, models.CASCADE, related_name="issues", db_index=False)
    code = models.TextField()
    attribute = models.TextField(blank=True)
    severity = models.TextField(choices=[(s.value, s.value.capitalize()) for s in Severity])
    count = models.PositiveIntegerField(default=0)
    examples = models.JSONField(default=list)

    class Meta:
        default_permissions = ()
        ordering = ["-count", "code", "attribute"]
        constraints = [models.UniqueConstraint("run", "code", "attribute", name="runissue_one_per_code")]

    def __str__(self) -> str:
        return f"{self.code} × {self.count}"

    @property
    def title(self) -> str:
        return code_named(self.code).title

    @property
    def advice(self) -> str:
        return code_named(self.code).advice

    @property
    def expected(self) -> str:
        return expected_value(self.attribute)


class ItemIssue(models.Model):
    """Which items have an issue: what makes the items of one issue a list. Written with the plan, goes with its item.

    `found` is filled for what only a comparison of items finds; of what is wrong with an item by itself it stands in
    the item's own `issues`.
    """

    pk = models.CompositePrimaryKey("run_id", "code", "attribute", "position")
    # As with staged items, no constraint that would be checked row by row.
    run = models.ForeignKey(ImportRun, models.CASCADE, related_name="item_issues", db_constraint=False, db_index=False)
    code = models.TextField()
    attribute = models.TextField()
    position = models.PositiveIntegerField()
    found = models.TextField(default="")
    times = models.PositiveIntegerField(default=1, db_default=1, help_text=_("How often the item has it."))

    class Meta:
        default_permissions = ()
        indexes = [
            # the Changes tab: which issues the items of what was found have
            models.Index("run", "position", "code", name="itemissue_position")
        ]

    def __str__(self) -> str:
        return f"{self.code} at item {self.position}"


class ProductIssues(models.Model):
    """The issues that a feed's last import found at a product, each as `code` or `code:attribute`.

    Written once an import is applied, for the products in its file; where the same item comes again, it stays. So `run`
    is the import that found them first. `position` is the item's in it: as long as its row is kept, it says what was
    found. The database does not check that market and feed are there: it would look for both at each row, which takes
    more than to write it.
    """

    pk = models.CompositePrimaryKey("market_id", "product_id", "feed_id")
    market = models.ForeignKey(Market, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    product_id = models.TextField(db_collation="C")
    feed = models.ForeignKey(Feed, models.CASCADE, related_name="+", db_constraint=False)
    run = models.ForeignKey(ImportRun, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    position = models.PositiveIntegerField()
    is_invalid = models.BooleanField(help_text=_("The item could not be imported; the product is as it was before."))
    issues = ArrayField(models.TextField())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Issues of {self.product_id}"
