"""What a plan would change, what was changed, and the history of a product."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from catalog.models.fields import exact_json_field
from catalog.models.market import DEFAULT_MARKET, Market


class Operation(models.TextChoices):
    CREATE = "create", _("New")
    UPDATE = "update", _("Changed")
    ARCHIVE = "archive", _("Archived")
    RESTORE = "restore", _("Back from the archive")
    KEEP = "keep", _("Kept: pinned")


class Outcome(models.TextChoices):
    PROPOSED = "proposed", _("Proposed")
    APPLIED = "applied", _("Applied")
    CONFLICT = "conflict", _("Left alone: edited since the plan")
    PINNED = "pinned", _("Kept: pinned")
    UNDONE = "undone", _("Undone")
    KEPT = "kept", _("Not undone: changed since")
    GONE = "gone", _("Not undone: the product is gone")
    LEFT_OUT = "left_out", _("Left out")


# An import that goes as planned has none of them.
UNUSUAL = (Outcome.CONFLICT, Outcome.UNDONE, Outcome.KEPT, Outcome.GONE)


class Change(models.Model):
    """One product's part of a plan, once applied a line of the product's history; or an edit by hand, without a run.

    `before` and `after` hold only the fields that differ. A new product has nothing before, and its values are those
    of the staged item at `position`, which does not change once the plan is made. `pinned` holds what the file says of
    pinned fields that differ; the product keeps its own. `left_out` holds what a person left out of the plan in the
    same way, and is null where nothing was; a new product's staged item has it all the same.

    `base_version` is the version of the product that the change is laid over; it is the next one then. Undoing makes
    a version of its own, over which the change may be laid again.
    """

    run = models.ForeignKey("catalog.ImportRun", models.CASCADE, related_name="changes", db_index=False, null=True)
    # That of the run's feed. Without a constraint, which would be checked row by row, and an index, since who looks for
    # a product's changes asks for its id first.
    market: "models.ForeignKey[Market, Market]" = models.ForeignKey(
        Market,
        models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
        default=DEFAULT_MARKET,
        db_default=DEFAULT_MARKET,  # type: ignore[arg-type]
    )
    product_id = models.TextField(db_collation="C")
    operation = models.TextField(choices=Operation)
    before = exact_json_field(default=dict)
    after = exact_json_field(default=dict)
    pinned = exact_json_field(null=True)
    left_out = exact_json_field(null=True)
    base_version = models.PositiveIntegerField(null=True)
    position = models.PositiveIntegerField(null=True)
    line = models.PositiveIntegerField(null=True)
    outcome = models.TextField(choices=Outcome, default=Outcome.PROPOSED)
    made_at = models.DateTimeField(null=True, help_text=_("When it was applied or edited; if undone, when that was."))
    actor = models.TextField(blank=True, default="", db_default="", help_text=_("Who edited by hand."))
    # Apart from `outcome`, which is in no index: so a change is applied in the page it stands in.
    unusual = models.GeneratedField(
        expression=models.Case(models.When(outcome__in=UNUSUAL, then="outcome")),
        output_field=models.TextField(null=True),
        db_persist=True,
    )

    class Meta:
        default_permissions = ("view",)
        ordering = ["id"]
        indexes = [
            # the Changes tab: one run's changes, all or of one operation, page by page; and apply
            models.Index("run", "operation", "id", name="change_run_operation"),
            # the Changes tab: those of one unusual outcome, page by page, however few among a million others
            models.Index(
                "run", "unusual", "operation", "id", name="change_unusual", condition=models.Q(unusual__isnull=False)
            ),
            # the Changes tab: what was left out
            models.Index("run", "operation", "id", name="change_left_out", condition=models.Q(left_out__isnull=False)),
            # the list of products: those that a person has edited; what a plan replaces of such edits
            models.Index("market", "product_id", name="change_by_hand", condition=models.Q(run__isnull=True)),
        ]
        constraints = [
            # One part of a plan per product; apply finds its changes, and a product's history its lines, by it.
            models.UniqueConstraint("product_id", "run", name="change_one_per_product"),
            models.CheckConstraint(condition=models.Q(operation__in=Operation.values), name="change_operation_known"),
            models.CheckConstraint(condition=models.Q(outcome__in=Outcome.values), name="change_outcome_known"),
        ]

    def __str__(self) -> str:
        return f"{self.get_operation_display()}: {self.product_id}"


class ChangedField(models.Model):
    """How many of a plan's changes, of one operation, speak of one field; `extra.x` is x among the other attributes.

    `changes` lists them where they are few among all; `first` and `last` are the ends of what has to be read otherwise.
    """

    pk = models.CompositePrimaryKey("run_id", "operation", "name")
    run = models.ForeignKey("catalog.ImportRun", models.CASCADE, related_name="changed_fields", db_index=False)
    operation = models.TextField(choices=Operation)
    name = models.TextField()
    number = models.PositiveIntegerField()
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    changes = ArrayField(models.BigIntegerField(), null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name} × {self.number}"


class ChangeFacets(models.Model):
    """What a change of a plan is found and sorted by: a narrow row beside the wide one, for each that is in the plan.

    `brand` and the like are the product's after the change. What the change takes it from is in `lost_brand` and the
    like: null where it stays. `share` is the move of its price, null where that does not move. `words` are those of a
    new product, which no search of products finds. docs/decisions/0040-a-plan-is-filtered-by-narrow-rows.md
    """

    pk = models.CompositePrimaryKey("run_id", "change_id")
    # As with staged items, no constraints that would be checked row by row.
    run = models.ForeignKey(
        "catalog.ImportRun", models.CASCADE, related_name="facets", db_constraint=False, db_index=False
    )
    change_id = models.BigIntegerField()
    operation = models.TextField()
    position = models.PositiveIntegerField(null=True)
    brand = models.TextField()
    product_type = models.TextField()
    gender = models.TextField()
    condition = models.TextField()
    currency = models.TextField()
    lost_brand = models.TextField(null=True)  # noqa: DJ001 - null where it stays
    lost_product_type = models.TextField(null=True)  # noqa: DJ001 - null where it stays
    lost_gender = models.TextField(null=True)  # noqa: DJ001 - null where it stays
    lost_condition = models.TextField(null=True)  # noqa: DJ001 - null where it stays
    share = models.FloatField(null=True)
    replaces_edit = models.BooleanField(default=False, db_default=False)
    words = models.TextField(default="", db_default="")

    class Meta:
        default_permissions = ()
        indexes = [
            # the Changes tab: the bars of prices, and the list in the order of the moves
            models.Index(
                "run", "share", "change_id", name="changefacets_share", condition=models.Q(share__isnull=False)
            ),
            # the Changes tab: what replaces a person's edit
            models.Index("run", "change_id", name="changefacets_replaces_edit", condition=models.Q(replaces_edit=True)),
        ]

    def __str__(self) -> str:
        return f"Change {self.change_id}"
