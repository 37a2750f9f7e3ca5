"""The sheet of a workbook that is read."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0006_known_values_and_owners"),
    ]

    operations = [
        migrations.AddField(
            model_name="feed",
            name="table_sheet",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text="The name of the sheet to read in an Excel workbook. Empty: the first one that is not hidden.",
                verbose_name="sheet of workbooks",
            ),
        ),
    ]
