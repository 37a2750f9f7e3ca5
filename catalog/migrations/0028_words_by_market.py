from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import BtreeGinExtension
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("catalog", "0027_plan_facets")]

    operations = [
        BtreeGinExtension(),
        migrations.AddIndex("product", GinIndex("market", "search", name="product_words")),
        migrations.RemoveIndex("product", "product_search"),
    ]
