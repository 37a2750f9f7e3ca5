from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0028_words_by_market")]

    operations = [
        migrations.AddIndex(
            "product",
            models.Index("market", "id", condition=models.Q(archived_at__isnull=False), name="product_archived"),
        ),
        migrations.AddIndex(
            "product",
            models.Index("feed", condition=models.Q(archived_at=None), name="product_of_feed"),
        ),
    ]
