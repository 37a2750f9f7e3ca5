"""Amounts of up to twelve digits before the point: 1,250,000,000 VND is a handbag. PostgreSQL rewrites no row for it."""

from django.db import migrations, models

AMOUNTS = ("final_price", "old_price", "price", "sale_price")


class Migration(migrations.Migration):
    dependencies = [("catalog", "0003_confirm_permission")]

    operations = [
        migrations.AlterField(
            model_name=model,
            name=name,
            field=models.DecimalField(
                blank=True, decimal_places=3, max_digits=15, null=True, verbose_name=name.replace("_", " ")
            ),
        )
        for model in ("product", "stageditem")
        for name in AMOUNTS
    ]
