from typing import Any

from django.db import migrations, models
from django.db.models import Exists, OuterRef


def note_addresses(apps: Any, schema_editor: Any) -> None:
    """Give everybody whom staff created the row that allauth looks for. Only somebody who signed up had one."""
    user, address = apps.get_model("accounts", "User"), apps.get_model("account", "EmailAddress")
    without = user.objects.exclude(Exists(address.objects.filter(user=OuterRef("pk")))).values_list("pk", "email")
    address.objects.bulk_create(
        (address(user_id=pk, email=email, primary=True, verified=True) for pk, email in without.iterator()),
        batch_size=1000,
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_requests_of_mails"),
        ("account", "0009_emailaddress_unique_primary_email"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="uses_browser",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.RunPython(note_addresses, migrations.RunPython.noop),
    ]
