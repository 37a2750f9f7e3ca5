"""Who might `apply_importrun` may `confirm_importrun`: the same permission by the word that people use."""

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
        ("catalog", "0029_price_guard_in_other_currencies"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="importrun",
            options={
                "default_permissions": ("add", "view"),
                "ordering": ["-id"],
                "permissions": [
                    ("confirm_importrun", "Can confirm an import"),
                    ("discard_importrun", "Can discard an import"),
                    ("undo_importrun", "Can undo an import, and apply it again"),
                ],
                "verbose_name": "import",
            },
        ),
        migrations.RunPython(
            renamed("apply_importrun", "confirm_importrun"), renamed("confirm_importrun", "apply_importrun")
        ),
    ]
