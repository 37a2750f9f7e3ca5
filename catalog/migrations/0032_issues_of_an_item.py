from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("catalog", "0031_issues_without_checks")]

    operations = [
        AddIndexConcurrently("itemissue", models.Index("run", "position", "code", name="itemissue_position")),
    ]
