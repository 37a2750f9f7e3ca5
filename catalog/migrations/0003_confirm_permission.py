"""The permission `apply_importrun` is called `confirm_importrun`, the word that people use."""

from django.db import migrations


def renamed(before, after):
    """The row is renamed, so that the groups and people that have the permission keep it."""

    def rename(apps, schema_editor):
        permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
        content_type = {"content_type__app_label": "catalog", "content_type__model": "importrun"}
        permissions.filter(**content_type, codename=before).update(codename=after)

    return rename


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0002_storage"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.RunPython(
            renamed("apply_importrun", "confirm_importrun"), renamed("confirm_importrun", "apply_importrun")
        ),
    ]
