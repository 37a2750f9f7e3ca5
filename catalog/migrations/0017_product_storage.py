"""Products keep their texts in the row: imports compare and write whole rows, and compressing texts takes longer."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("catalog", "0016_feed_table_encoding")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE catalog_product SET (toast_tuple_target = 8160)",
            "ALTER TABLE catalog_product RESET (toast_tuple_target)",
        )
    ]
