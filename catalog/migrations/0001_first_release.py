"""The catalogue and its imports, as of the first release."""

import catalog.models.feed
import catalog.models.fields
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.operations
import django.contrib.postgres.search
import django.core.serializers.json
import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
import django.db.models.functions.text
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("catalog", "0001_initial"),
        ("catalog", "0003_schedule"),
        ("catalog", "0004_feed_reading"),
        ("catalog", "0005_import_reading"),
        ("catalog", "0006_feed_guards"),
        ("catalog", "0007_undo_history_pins"),
        ("catalog", "0008_issues_of_items"),
        ("catalog", "0009_attempts"),
        ("catalog", "0010_chunks"),
        ("catalog", "0011_product_lists"),
        ("catalog", "0012_upload_key"),
        ("catalog", "0013_retention"),
        ("catalog", "0014_invalid_items"),
        ("catalog", "0015_metrics"),
        ("catalog", "0016_feed_table_encoding"),
        ("catalog", "0017_product_storage"),
        ("catalog", "0018_words"),
        ("catalog", "0019_product_index_columns"),
        ("catalog", "0020_known_items"),
        ("catalog", "0021_word_products"),
        ("catalog", "0022_catalog_version_of_applied"),
        ("catalog", "0023_words_named"),
        ("catalog", "0024_unusual_outcomes"),
        ("catalog", "0025_catalog_versions"),
        ("catalog", "0026_words_apart"),
        ("catalog", "0027_changed_fields"),
        ("catalog", "0028_words_apart_by_expression"),
        ("catalog", "0029_price_guard_in_other_currencies"),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [
        django.contrib.postgres.operations.TrigramExtension(),
        migrations.CreateModel(
            name="CatalogState",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("version", models.BigIntegerField(default=0)),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="catalog_state_one_row")],
            },
        ),
        migrations.CreateModel(
            name="Feed",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.TextField(verbose_name="name")),
                (
                    "slug",
                    models.SlugField(
                        help_text="For the command line: import_feed --feed …", unique=True, verbose_name="short name"
                    ),
                ),
                (
                    "mode",
                    models.TextField(
                        choices=[
                            ("add", "Add new products, leave existing ones as they are"),
                            ("update", "Add new products and change existing ones"),
                            ("sync", "Add, change, and archive this feed's products that are missing from the file"),
                        ],
                        default="update",
                        help_text="Proposed for each new import.",
                        verbose_name="mode",
                    ),
                ),
                (
                    "auto_apply",
                    models.BooleanField(
                        default=False,
                        help_text="Apply an import as soon as its plan is made.",
                        verbose_name="apply without asking",
                    ),
                ),
                (
                    "default_currency",
                    models.CharField(
                        blank=True,
                        help_text="The ISO 4217 code for prices that come without one, as in AED.",
                        max_length=3,
                        validators=[
                            django.core.validators.RegexValidator("\\A[A-Z]{3}\\Z", "Three capital letters, as in AED.")
                        ],
                        verbose_name="default currency",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "aliases",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text='Elements that only this shop calls so, with the attribute: {"artikelnummer": "mpn"}.',
                        validators=[catalog.models.feed.validate_aliases],
                        verbose_name="names of its own",
                    ),
                ),
                (
                    "base_url",
                    models.TextField(
                        blank=True,
                        default="",
                        help_text="Completes links and pictures that come without a host, as https://www.example.com/.",
                        validators=[
                            django.core.validators.URLValidator(
                                message="A whole web address, as https://example.com/.", schemes=["http", "https"]
                            )
                        ],
                        verbose_name="base address",
                    ),
                ),
                (
                    "domain",
                    models.TextField(
                        blank=True,
                        default="",
                        help_text="A link that is neither on it nor below it gets a warning, as example.com.",
                        validators=[
                            django.core.validators.RegexValidator(
                                "(?i)\\A[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+\\Z",
                                "Only the domain, as example.com: no https://, no path.",
                            )
                        ],
                        verbose_name="domain",
                    ),
                ),
                (
                    "guard_archived",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        default=10,
                        help_text="A person has to look when an import would archive a larger share of this feed's products.",
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(1000)],
                        verbose_name="archived, in %",
                    ),
                ),
                (
                    "guard_currency",
                    models.BooleanField(
                        default=True,
                        help_text="When items come in a currency that no product of this feed has.",
                        verbose_name="new currency",
                    ),
                ),
                (
                    "guard_invalid",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        default=30,
                        help_text="When a larger share of the items cannot be imported.",
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(1000)],
                        verbose_name="invalid items, in %",
                    ),
                ),
                (
                    "guard_items",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        default=50,
                        help_text="In the mode sync: when the file has so many more or fewer items than the one that was applied last.",
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(1000)],
                        verbose_name="more or fewer items, in %",
                    ),
                ),
                (
                    "guard_out_of_stock",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        default=30,
                        help_text="When a larger share of the products would turn out of stock.",
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(1000)],
                        verbose_name="turned out of stock, in %",
                    ),
                ),
                (
                    "guard_price_change",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        default=50,
                        help_text="A price that goes up or down by more, or is in another currency now, counts as a large change.",
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(1000)],
                        verbose_name="change of a price, in %",
                    ),
                ),
                (
                    "guard_price_products",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        default=10,
                        help_text="When the price of a larger share of the products changes so.",
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(1000)],
                        verbose_name="products with a large change, in %",
                    ),
                ),
                (
                    "guard_zero_price",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        default=1,
                        help_text="When there are more such prices for each hundred items.",
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(1000)],
                        verbose_name="zero or negative prices, in %",
                    ),
                ),
                (
                    "table_encoding",
                    models.TextField(
                        choices=[
                            ("utf-8", "UTF-8"),
                            ("windows-1252", "windows-1252"),
                            ("windows-1256", "windows-1256"),
                            ("iso-8859-1", "iso-8859-1"),
                        ],
                        default="utf-8",
                        help_text="Of CSV and TSV, which do not say it. What begins with a byte order mark is read by that.",
                        verbose_name="encoding of tables",
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("mode__in", ["add", "update", "sync"])), name="feed_mode_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("table_encoding__in", ("utf-8", "windows-1252", "windows-1256", "iso-8859-1"))
                        ),
                        name="feed_table_encoding_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ImportRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "mode",
                    models.TextField(
                        choices=[
                            ("add", "Add new products, leave existing ones as they are"),
                            ("update", "Add new products and change existing ones"),
                            ("sync", "Add, change, and archive this feed's products that are missing from the file"),
                        ],
                        verbose_name="mode",
                    ),
                ),
                ("auto_apply", models.BooleanField(default=False, verbose_name="apply without asking")),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("received", "Waiting"),
                            ("staging", "Reading"),
                            ("review", "Needs confirmation"),
                            ("applying", "Applying"),
                            ("applied", "Applied"),
                            ("undoing", "Undoing"),
                            ("undone", "Undone"),
                            ("redoing", "Applying again"),
                            ("discarded", "Discarded"),
                            ("failed", "Failed"),
                        ],
                        default="received",
                        verbose_name="status",
                    ),
                ),
                ("history", models.JSONField(default=list, help_text="Every status with its time and who caused it.")),
                ("error_code", models.TextField(blank=True, default="")),
                ("error", models.TextField(blank=True, default="", verbose_name="error")),
                ("file", models.FileField(max_length=255, upload_to="", verbose_name="file")),
                ("file_name", models.TextField(verbose_name="file name")),
                ("file_size", models.BigIntegerField(verbose_name="size")),
                ("sha256", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="uploaded")),
                (
                    "changed_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), help_text="When it got its status."
                    ),
                ),
                ("finished_at", models.DateTimeField(null=True, verbose_name="finished")),
                ("bytes_read", models.BigIntegerField(default=0)),
                ("names", models.JSONField(default=list, help_text="The attributes that occur in the file.")),
                ("plan_hash", models.CharField(blank=True, default="", max_length=64)),
                ("seconds", models.JSONField(default=dict, help_text="How long stage, plan and apply took.")),
                ("items", models.PositiveIntegerField(default=0, verbose_name="items")),
                ("created", models.PositiveIntegerField(default=0, verbose_name="new")),
                ("changed", models.PositiveIntegerField(default=0, verbose_name="changed")),
                ("unchanged", models.PositiveIntegerField(default=0, verbose_name="unchanged")),
                ("existing", models.PositiveIntegerField(default=0, verbose_name="existing")),
                ("duplicate", models.PositiveIntegerField(default=0, verbose_name="duplicates")),
                ("invalid", models.PositiveIntegerField(default=0, verbose_name="invalid")),
                ("conflict", models.PositiveIntegerField(default=0, verbose_name="conflicts")),
                ("archived", models.PositiveIntegerField(default=0, verbose_name="archived")),
                ("archive_conflict", models.PositiveIntegerField(default=0, verbose_name="archive conflicts")),
                (
                    "feed",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="runs",
                        to="catalog.feed",
                        verbose_name="feed",
                    ),
                ),
                (
                    "uploaded_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="uploaded by",
                    ),
                ),
                (
                    "holds",
                    models.JSONField(
                        default=list, help_text="Why a person has to look: code and message of each reason."
                    ),
                ),
                (
                    "reading",
                    models.TextField(
                        choices=[
                            ("strict", "As it is"),
                            ("repaired", "Repaired"),
                            ("salvaged", "Salvaged item by item"),
                        ],
                        default="strict",
                        verbose_name="reading",
                    ),
                ),
                (
                    "catalog_version",
                    models.BigIntegerField(
                        default=0,
                        help_text="The catalogue's, when the plan was begun; once it is applied, the one it made.",
                    ),
                ),
                ("gone", models.PositiveIntegerField(default=0, verbose_name="could not be undone")),
                ("kept", models.PositiveIntegerField(default=0, verbose_name="kept: changed since")),
                ("pinned", models.PositiveIntegerField(default=0, verbose_name="kept by pins")),
                ("planned_at", models.DateTimeField(null=True)),
                ("undone", models.PositiveIntegerField(default=0, verbose_name="undone")),
                ("coverage", models.JSONField(default=dict, help_text="How many items have a value, by attribute.")),
                (
                    "in_chunks",
                    models.BooleanField(
                        help_text="False: read in one piece; true: cut into all its chunks.", null=True
                    ),
                ),
                (
                    "spool",
                    models.FileField(
                        blank=True, help_text="The unpacked file, while it is read.", max_length=255, upload_to=""
                    ),
                ),
                (
                    "metrics",
                    models.JSONField(default=dict, help_text="What each of them cost, in the database and of memory."),
                ),
                (
                    "words_due",
                    models.BooleanField(
                        default=False, help_text="The words of the products that it changed are not known yet."
                    ),
                ),
            ],
            options={
                "verbose_name": "import",
                "ordering": ["-id"],
                "permissions": [
                    ("confirm_importrun", "Can confirm an import"),
                    ("discard_importrun", "Can discard an import"),
                    ("undo_importrun", "Can undo an import, and apply it again"),
                ],
                "default_permissions": ("add", "view"),
                "indexes": [
                    models.Index(
                        models.F("sha256"),
                        condition=models.Q(("status__in", ("received", "staging", "review", "applying"))),
                        name="importrun_open_file",
                    ),
                    models.Index(models.F("id"), condition=models.Q(("words_due", True)), name="importrun_words_due"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("mode__in", ["add", "update", "sync"])), name="importrun_mode_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reading__in", ["strict", "repaired", "salvaged"])),
                        name="importrun_reading_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                [
                                    "received",
                                    "staging",
                                    "review",
                                    "applying",
                                    "applied",
                                    "undoing",
                                    "undone",
                                    "redoing",
                                    "discarded",
                                    "failed",
                                ],
                            )
                        ),
                        name="importrun_status_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("status__in", ("review", "applying", "applied", "undoing", "undone", "redoing")),
                                _negated=True,
                            ),
                            (
                                "items",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        django.db.models.expressions.CombinedExpression(
                                            django.db.models.expressions.CombinedExpression(
                                                django.db.models.expressions.CombinedExpression(
                                                    django.db.models.expressions.CombinedExpression(
                                                        models.F("created"), "+", models.F("changed")
                                                    ),
                                                    "+",
                                                    models.F("unchanged"),
                                                ),
                                                "+",
                                                models.F("existing"),
                                            ),
                                            "+",
                                            models.F("duplicate"),
                                        ),
                                        "+",
                                        models.F("invalid"),
                                    ),
                                    "+",
                                    models.F("conflict"),
                                ),
                            ),
                            _connector="OR",
                        ),
                        name="importrun_counts_add_up",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status__in", ["undone", "redoing"]), _negated=True),
                            (
                                "undone",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        django.db.models.expressions.CombinedExpression(
                                            django.db.models.expressions.CombinedExpression(
                                                models.F("created"), "+", models.F("changed")
                                            ),
                                            "+",
                                            models.F("archived"),
                                        ),
                                        "-",
                                        models.F("kept"),
                                    ),
                                    "-",
                                    models.F("gone"),
                                ),
                            ),
                            _connector="OR",
                        ),
                        name="importrun_undo_adds_up",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Change",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("product_id", models.TextField(db_collation="C")),
                (
                    "operation",
                    models.TextField(
                        choices=[
                            ("create", "New"),
                            ("update", "Changed"),
                            ("archive", "Archived"),
                            ("restore", "Back from the archive"),
                            ("keep", "Kept: pinned"),
                        ]
                    ),
                ),
                (
                    "before",
                    models.JSONField(
                        decoder=catalog.models.fields.ExactDecoder,
                        default=dict,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                    ),
                ),
                (
                    "after",
                    models.JSONField(
                        decoder=catalog.models.fields.ExactDecoder,
                        default=dict,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                    ),
                ),
                ("base_version", models.PositiveIntegerField(null=True)),
                ("position", models.PositiveIntegerField(null=True)),
                ("line", models.PositiveIntegerField(null=True)),
                (
                    "outcome",
                    models.TextField(
                        choices=[
                            ("proposed", "Proposed"),
                            ("applied", "Applied"),
                            ("conflict", "Left alone: edited since the plan"),
                            ("pinned", "Kept: pinned"),
                            ("undone", "Undone"),
                            ("kept", "Not undone: changed since"),
                            ("gone", "Not undone: the product is gone"),
                        ],
                        default="proposed",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="changes",
                        to="catalog.importrun",
                    ),
                ),
                ("actor", models.TextField(blank=True, db_default="", default="", help_text="Who edited by hand.")),
                (
                    "made_at",
                    models.DateTimeField(
                        help_text="When it was applied or edited; if undone, when that was.", null=True
                    ),
                ),
                (
                    "pinned",
                    models.JSONField(
                        decoder=catalog.models.fields.ExactDecoder,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                        null=True,
                    ),
                ),
                (
                    "unusual",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Case(
                            models.When(outcome__in=("conflict", "undone", "kept", "gone"), then="outcome")
                        ),
                        output_field=models.TextField(null=True),
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(models.F("run"), models.F("operation"), models.F("id"), name="change_run_operation"),
                    models.Index(
                        models.F("run"),
                        models.F("unusual"),
                        models.F("operation"),
                        models.F("id"),
                        condition=models.Q(("unusual__isnull", False)),
                        name="change_unusual",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(models.F("product_id"), models.F("run"), name="change_one_per_product"),
                    models.CheckConstraint(
                        condition=models.Q(("operation__in", ["create", "update", "archive", "restore", "keep"])),
                        name="change_operation_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("outcome__in", ["proposed", "applied", "conflict", "pinned", "undone", "kept", "gone"])
                        ),
                        name="change_outcome_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Product",
            fields=[
                ("title", models.TextField(blank=True, default="", verbose_name="title")),
                ("description", models.TextField(blank=True, default="", verbose_name="description")),
                ("brand", models.TextField(blank=True, default="", verbose_name="brand")),
                ("product_type", models.TextField(blank=True, default="", verbose_name="product type")),
                (
                    "google_product_category",
                    models.TextField(blank=True, default="", verbose_name="Google product category"),
                ),
                (
                    "condition",
                    models.TextField(
                        blank=True,
                        choices=[("new", "New"), ("refurbished", "Refurbished"), ("used", "Used")],
                        default="",
                        verbose_name="condition",
                    ),
                ),
                ("product_class", models.TextField(blank=True, default="", verbose_name="product class")),
                ("product_season", models.TextField(blank=True, default="", verbose_name="product season")),
                ("link", models.TextField(blank=True, default="", verbose_name="link")),
                ("mobile_link", models.TextField(blank=True, default="", verbose_name="mobile link")),
                ("image_link", models.TextField(blank=True, default="", verbose_name="image link")),
                (
                    "additional_image_link",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(),
                        blank=True,
                        default=list,
                        size=None,
                        verbose_name="additional images",
                    ),
                ),
                (
                    "additional_images_count",
                    models.IntegerField(blank=True, null=True, verbose_name="additional images count"),
                ),
                ("icon_media_url", models.TextField(blank=True, default="", verbose_name="icon media URL")),
                (
                    "price",
                    models.DecimalField(blank=True, decimal_places=3, max_digits=12, null=True, verbose_name="price"),
                ),
                (
                    "sale_price",
                    models.DecimalField(
                        blank=True, decimal_places=3, max_digits=12, null=True, verbose_name="sale price"
                    ),
                ),
                (
                    "old_price",
                    models.DecimalField(
                        blank=True, decimal_places=3, max_digits=12, null=True, verbose_name="old price"
                    ),
                ),
                (
                    "final_price",
                    models.DecimalField(
                        blank=True, decimal_places=3, max_digits=12, null=True, verbose_name="final price"
                    ),
                ),
                ("currency", models.TextField(blank=True, default="", verbose_name="currency")),
                ("discount_percent", models.TextField(blank=True, default="", verbose_name="discount percent")),
                (
                    "sale_price_effective_date",
                    models.TextField(blank=True, default="", verbose_name="sale price effective date"),
                ),
                (
                    "availability",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("in_stock", "In stock"),
                            ("out_of_stock", "Out of stock"),
                            ("preorder", "Preorder"),
                            ("backorder", "Backorder"),
                        ],
                        default="",
                        verbose_name="availability",
                    ),
                ),
                ("availability_date", models.TextField(blank=True, default="", verbose_name="availability date")),
                ("quantity", models.IntegerField(blank=True, null=True, verbose_name="quantity")),
                ("gtin", models.TextField(blank=True, default="", verbose_name="GTIN")),
                ("mpn", models.TextField(blank=True, default="", verbose_name="MPN")),
                ("identifier_exists", models.BooleanField(blank=True, null=True, verbose_name="identifier exists")),
                ("item_group_id", models.TextField(blank=True, default="", verbose_name="item group id")),
                (
                    "gender",
                    models.TextField(
                        blank=True,
                        choices=[("male", "Male"), ("female", "Female"), ("unisex", "Unisex")],
                        default="",
                        verbose_name="gender",
                    ),
                ),
                ("gender_orig_value", models.TextField(blank=True, default="", verbose_name="gender, original value")),
                (
                    "age_group",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("newborn", "Newborn"),
                            ("infant", "Infant"),
                            ("toddler", "Toddler"),
                            ("kids", "Kids"),
                            ("adult", "Adult"),
                        ],
                        default="",
                        verbose_name="age group",
                    ),
                ),
                ("color", models.TextField(blank=True, default="", verbose_name="colour")),
                ("size", models.TextField(blank=True, default="", verbose_name="size")),
                ("material", models.TextField(blank=True, default="", verbose_name="material")),
                ("pattern", models.TextField(blank=True, default="", verbose_name="pattern")),
                ("all_sizes_skus", models.TextField(blank=True, default="", verbose_name="all sizes' SKUs")),
                ("sizes_of_all_skus", models.TextField(blank=True, default="", verbose_name="sizes of all SKUs")),
                ("options_percentage", models.TextField(blank=True, default="", verbose_name="options percentage")),
                ("adult", models.BooleanField(blank=True, null=True, verbose_name="adult")),
                ("adwords_labels", models.TextField(blank=True, default="", verbose_name="AdWords labels")),
                ("custom_label_0", models.TextField(blank=True, default="", verbose_name="custom label 0")),
                ("custom_label_1", models.TextField(blank=True, default="", verbose_name="custom label 1")),
                ("custom_label_2", models.TextField(blank=True, default="", verbose_name="custom label 2")),
                ("custom_label_3", models.TextField(blank=True, default="", verbose_name="custom label 3")),
                ("custom_label_4", models.TextField(blank=True, default="", verbose_name="custom label 4")),
                ("ios_url", models.TextField(blank=True, default="", verbose_name="iOS URL")),
                ("ios_app_store_id", models.TextField(blank=True, default="", verbose_name="iOS app store id")),
                ("ios_app_name", models.TextField(blank=True, default="", verbose_name="iOS app name")),
                ("iphone_url", models.TextField(blank=True, default="", verbose_name="iPhone URL")),
                ("iphone_app_store_id", models.TextField(blank=True, default="", verbose_name="iPhone app store id")),
                ("iphone_app_name", models.TextField(blank=True, default="", verbose_name="iPhone app name")),
                ("android_package", models.TextField(blank=True, default="", verbose_name="Android package")),
                ("android_app_name", models.TextField(blank=True, default="", verbose_name="Android app name")),
                ("extra", models.JSONField(blank=True, default=dict, verbose_name="other attributes")),
                ("id", models.TextField(db_collation="C", primary_key=True, serialize=False, verbose_name="id")),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("archived_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="archived")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated")),
                (
                    "search",
                    models.GeneratedField(
                        db_persist=True,
                        expression=django.contrib.postgres.search.SearchVector(
                            models.Func(
                                models.F("id"),
                                models.Value("[!-/:-@[-`{-~]"),
                                models.Value(" "),
                                models.Value("g"),
                                function="regexp_replace",
                                output_field=models.TextField(),
                            ),
                            models.Func(
                                models.F("title"),
                                models.Value("[!-/:-@[-`{-~]"),
                                models.Value(" "),
                                models.Value("g"),
                                function="regexp_replace",
                                output_field=models.TextField(),
                            ),
                            models.Func(
                                models.F("brand"),
                                models.Value("[!-/:-@[-`{-~]"),
                                models.Value(" "),
                                models.Value("g"),
                                function="regexp_replace",
                                output_field=models.TextField(),
                            ),
                            models.Func(
                                models.F("gtin"),
                                models.Value("[!-/:-@[-`{-~]"),
                                models.Value(" "),
                                models.Value("g"),
                                function="regexp_replace",
                                output_field=models.TextField(),
                            ),
                            models.Func(
                                models.F("mpn"),
                                models.Value("[!-/:-@[-`{-~]"),
                                models.Value(" "),
                                models.Value("g"),
                                function="regexp_replace",
                                output_field=models.TextField(),
                            ),
                            config="simple",
                        ),
                        output_field=django.contrib.postgres.search.SearchVectorField(),
                    ),
                ),
                (
                    "feed",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="products",
                        to="catalog.feed",
                        verbose_name="feed",
                    ),
                ),
                (
                    "pinned",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(),
                        blank=True,
                        default=list,
                        help_text="Imports leave these as they are; their plans show what the file says instead.",
                        size=None,
                        verbose_name="pinned fields",
                    ),
                ),
                (
                    "brand_key",
                    models.GeneratedField(
                        db_persist=True,
                        expression=django.db.models.functions.text.Left("brand", 120),
                        output_field=models.TextField(),
                    ),
                ),
                (
                    "title_key",
                    models.GeneratedField(
                        db_persist=True,
                        expression=django.db.models.functions.text.Left("title", 120),
                        output_field=models.TextField(),
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(models.F("search"), name="product_search"),
                    models.Index(
                        condition=models.Q(("archived_at", None)),
                        fields=["id"],
                        include=("condition", "gender", "availability", "brand_key", "price"),
                        name="product_listed",
                    ),
                    models.Index(
                        models.F("title_key"),
                        models.F("id"),
                        condition=models.Q(("archived_at", None)),
                        name="product_by_title",
                    ),
                    models.Index(
                        models.F("created_at"),
                        models.F("id"),
                        condition=models.Q(("archived_at", None)),
                        name="product_by_created",
                    ),
                    models.Index(
                        models.F("updated_at"),
                        models.F("id"),
                        condition=models.Q(("archived_at", None)),
                        name="product_by_updated",
                    ),
                    models.Index(
                        models.F("brand_key"),
                        models.F("id"),
                        condition=models.Q(("archived_at", None)),
                        include=("condition", "gender", "availability", "price"),
                        name="product_by_brand",
                    ),
                    models.Index(
                        models.F("price"),
                        models.F("id"),
                        condition=models.Q(("archived_at", None)),
                        include=("condition", "gender", "availability"),
                        name="product_by_price",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", ""), _negated=True), name="product_id_not_empty"),
                    models.CheckConstraint(
                        condition=models.Q(("price__gt", 0), ("price", None), _connector="OR"),
                        name="product_price_positive",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RunIssue",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.TextField()),
                ("attribute", models.TextField(blank=True)),
                (
                    "severity",
                    models.TextField(choices=[("error", "Error"), ("warning", "Warning"), ("notice", "Notice")]),
                ),
                ("count", models.PositiveIntegerField(default=0)),
                ("examples", models.JSONField(default=list)),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="issues",
                        to="catalog.importrun",
                    ),
                ),
            ],
            options={
                "ordering": ["-count", "code", "attribute"],
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        models.F("run"), models.F("code"), models.F("attribute"), name="runissue_one_per_code"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="StagedItem",
            fields=[
                ("title", models.TextField(blank=True, default="", verbose_name="title")),
                ("description", models.TextField(blank=True, default="", verbose_name="description")),
                ("brand", models.TextField(blank=True, default="", verbose_name="brand")),
                ("product_type", models.TextField(blank=True, default="", verbose_name="product type")),
                (
                    "google_product_category",
                    models.TextField(blank=True, default="", verbose_name="Google product category"),
                ),
                (
                    "condition",
                    models.TextField(
                        blank=True,
                        choices=[("new", "New"), ("refurbished", "Refurbished"), ("used", "Used")],
                        default="",
                        verbose_name="condition",
                    ),
                ),
                ("product_class", models.TextField(blank=True, default="", verbose_name="product class")),
                ("product_season", models.TextField(blank=True, default="", verbose_name="product season")),
                ("link", models.TextField(blank=True, default="", verbose_name="link")),
                ("mobile_link", models.TextField(blank=True, default="", verbose_name="mobile link")),
                ("image_link", models.TextField(blank=True, default="", verbose_name="image link")),
                (
                    "additional_image_link",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(),
                        blank=True,
                        default=list,
                        size=None,
                        verbose_name="additional images",
                    ),
                ),
                (
                    "additional_images_count",
                    models.IntegerField(blank=True, null=True, verbose_name="additional images count"),
                ),
                ("icon_media_url", models.TextField(blank=True, default="", verbose_name="icon media URL")),
                (
                    "price",
                    models.DecimalField(blank=True, decimal_places=3, max_digits=12, null=True, verbose_name="price"),
                ),
                (
                    "sale_price",
                    models.DecimalField(
                        blank=True, decimal_places=3, max_digits=12, null=True, verbose_name="sale price"
                    ),
                ),
                (
                    "old_price",
                    models.DecimalField(
                        blank=True, decimal_places=3, max_digits=12, null=True, verbose_name="old price"
                    ),
                ),
                (
                    "final_price",
                    models.DecimalField(
                        blank=True, decimal_places=3, max_digits=12, null=True, verbose_name="final price"
                    ),
                ),
                ("currency", models.TextField(blank=True, default="", verbose_name="currency")),
                ("discount_percent", models.TextField(blank=True, default="", verbose_name="discount percent")),
                (
                    "sale_price_effective_date",
                    models.TextField(blank=True, default="", verbose_name="sale price effective date"),
                ),
                (
                    "availability",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("in_stock", "In stock"),
                            ("out_of_stock", "Out of stock"),
                            ("preorder", "Preorder"),
                            ("backorder", "Backorder"),
                        ],
                        default="",
                        verbose_name="availability",
                    ),
                ),
                ("availability_date", models.TextField(blank=True, default="", verbose_name="availability date")),
                ("quantity", models.IntegerField(blank=True, null=True, verbose_name="quantity")),
                ("gtin", models.TextField(blank=True, default="", verbose_name="GTIN")),
                ("mpn", models.TextField(blank=True, default="", verbose_name="MPN")),
                ("identifier_exists", models.BooleanField(blank=True, null=True, verbose_name="identifier exists")),
                ("item_group_id", models.TextField(blank=True, default="", verbose_name="item group id")),
                (
                    "gender",
                    models.TextField(
                        blank=True,
                        choices=[("male", "Male"), ("female", "Female"), ("unisex", "Unisex")],
                        default="",
                        verbose_name="gender",
                    ),
                ),
                ("gender_orig_value", models.TextField(blank=True, default="", verbose_name="gender, original value")),
                (
                    "age_group",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("newborn", "Newborn"),
                            ("infant", "Infant"),
                            ("toddler", "Toddler"),
                            ("kids", "Kids"),
                            ("adult", "Adult"),
                        ],
                        default="",
                        verbose_name="age group",
                    ),
                ),
                ("color", models.TextField(blank=True, default="", verbose_name="colour")),
                ("size", models.TextField(blank=True, default="", verbose_name="size")),
                ("material", models.TextField(blank=True, default="", verbose_name="material")),
                ("pattern", models.TextField(blank=True, default="", verbose_name="pattern")),
                ("all_sizes_skus", models.TextField(blank=True, default="", verbose_name="all sizes' SKUs")),
                ("sizes_of_all_skus", models.TextField(blank=True, default="", verbose_name="sizes of all SKUs")),
                ("options_percentage", models.TextField(blank=True, default="", verbose_name="options percentage")),
                ("adult", models.BooleanField(blank=True, null=True, verbose_name="adult")),
                ("adwords_labels", models.TextField(blank=True, default="", verbose_name="AdWords labels")),
                ("custom_label_0", models.TextField(blank=True, default="", verbose_name="custom label 0")),
                ("custom_label_1", models.TextField(blank=True, default="", verbose_name="custom label 1")),
                ("custom_label_2", models.TextField(blank=True, default="", verbose_name="custom label 2")),
                ("custom_label_3", models.TextField(blank=True, default="", verbose_name="custom label 3")),
                ("custom_label_4", models.TextField(blank=True, default="", verbose_name="custom label 4")),
                ("ios_url", models.TextField(blank=True, default="", verbose_name="iOS URL")),
                ("ios_app_store_id", models.TextField(blank=True, default="", verbose_name="iOS app store id")),
                ("ios_app_name", models.TextField(blank=True, default="", verbose_name="iOS app name")),
                ("iphone_url", models.TextField(blank=True, default="", verbose_name="iPhone URL")),
                ("iphone_app_store_id", models.TextField(blank=True, default="", verbose_name="iPhone app store id")),
                ("iphone_app_name", models.TextField(blank=True, default="", verbose_name="iPhone app name")),
                ("android_package", models.TextField(blank=True, default="", verbose_name="Android package")),
                ("android_app_name", models.TextField(blank=True, default="", verbose_name="Android app name")),
                ("extra", models.JSONField(blank=True, default=dict, verbose_name="other attributes")),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "run_id", "position", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("position", models.PositiveIntegerField()),
                ("line", models.PositiveIntegerField()),
                ("product_id", models.TextField(db_collation="C")),
                (
                    "state",
                    models.TextField(choices=[("valid", "Valid"), ("invalid", "Invalid"), ("duplicate", "Duplicate")]),
                ),
                ("issues", models.JSONField(default=list)),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="staged",
                        to="catalog.importrun",
                    ),
                ),
                ("digest", models.UUIDField(null=True)),
                ("shape", models.BigIntegerField(null=True)),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        models.F("run"),
                        models.F("position"),
                        condition=models.Q(("state", "invalid")),
                        name="stageditem_invalid",
                    ),
                    models.Index(
                        models.F("run"),
                        models.F("digest"),
                        condition=models.Q(("digest__lt", uuid.UUID("08000000-0000-0000-0000-000000000000"))),
                        name="stageditem_probe",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ItemIssue",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "run_id",
                        "code",
                        "attribute",
                        "position",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("code", models.TextField()),
                ("attribute", models.TextField()),
                ("position", models.PositiveIntegerField()),
                ("found", models.TextField(default="")),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="item_issues",
                        to="catalog.importrun",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Attempt",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "kind", "number", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.PositiveSmallIntegerField()),
                ("number", models.PositiveIntegerField()),
                (
                    "count",
                    models.PositiveSmallIntegerField(
                        help_text="This one, and those before it whose workers were lost."
                    ),
                ),
                ("backend", models.IntegerField()),
                ("server_started_at", models.DateTimeField()),
                ("alive_at", models.DateTimeField(help_text="By the database's clock.")),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempts",
                        to="catalog.importrun",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Chunk",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("start", models.BigIntegerField()),
                ("end", models.BigIntegerField()),
                ("lines", models.PositiveIntegerField()),
                ("places", models.PositiveIntegerField()),
                ("room", models.PositiveIntegerField()),
                ("is_last", models.BooleanField()),
                ("tags", models.TextField()),
                ("item", models.TextField()),
                ("is_read", models.BooleanField(default=False)),
                ("names", models.JSONField(default=list)),
                ("unknown", models.JSONField(default=dict)),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="chunks",
                        to="catalog.importrun",
                    ),
                ),
                ("cost", models.JSONField(default=dict, help_text="As in the run's metrics.")),
            ],
            options={
                "ordering": ["run", "start"],
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(models.F("run"), models.F("start"), name="chunk_one_per_place")
                ],
            },
        ),
        migrations.CreateModel(
            name="UploadKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.TextField()),
                ("fingerprint", models.CharField(max_length=64)),
                ("status", models.PositiveSmallIntegerField()),
                ("answer", models.JSONField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(models.F("created_at"), name="uploadkey_created")],
                "constraints": [
                    models.UniqueConstraint(models.F("user"), models.F("key"), name="uploadkey_one_per_user")
                ],
            },
        ),
        migrations.CreateModel(
            name="Word",
            fields=[
                ("word", models.TextField(db_collation="C", primary_key=True, serialize=False)),
                ("products", models.IntegerField(default=0)),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(
                        django.contrib.postgres.indexes.OpClass("word", "gin_trgm_ops"),
                        condition=models.Q(("word__endswith", "0"), _negated=True),
                        name="word_typos",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CatalogVersion",
            fields=[
                ("version", models.BigIntegerField(primary_key=True, serialize=False)),
                ("product_id", models.TextField(blank=True, db_collation="C", default="")),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="catalog.importrun",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ChangedField",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "run_id", "operation", "name", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "operation",
                    models.TextField(
                        choices=[
                            ("create", "New"),
                            ("update", "Changed"),
                            ("archive", "Archived"),
                            ("restore", "Back from the archive"),
                            ("keep", "Kept: pinned"),
                        ]
                    ),
                ),
                ("name", models.TextField()),
                ("number", models.PositiveIntegerField()),
                ("first", models.BigIntegerField()),
                ("last", models.BigIntegerField()),
                (
                    "changes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), null=True, size=None
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="changed_fields",
                        to="catalog.importrun",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
    ]
