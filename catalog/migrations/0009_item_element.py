"""The element that is an item, and more encodings."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0008_quotas'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='feed',
            name='feed_table_encoding_known',
        ),
        migrations.AddField(
            model_name='feed',
            name='item_element',
            field=models.TextField(blank=True, db_default='', default='', help_text='In XML of another kind: the element that is an item, as in SHOPITEM. Empty: it is found.', validators=[django.core.validators.RegexValidator('\\A[^\\s<>&/:{}]{1,100}\\Z', "Only the element's name, without prefix, as SHOPITEM.")], verbose_name='item element'),
        ),
        migrations.AlterField(
            model_name='feed',
            name='table_encoding',
            field=models.TextField(choices=[('utf-8', 'UTF-8'), ('windows-1252', 'windows-1252'), ('windows-1256', 'windows-1256'), ('windows-1250', 'windows-1250'), ('windows-1251', 'windows-1251'), ('windows-1254', 'windows-1254'), ('windows-1255', 'windows-1255'), ('iso-8859-1', 'iso-8859-1'), ('iso-8859-2', 'iso-8859-2'), ('iso-8859-9', 'iso-8859-9'), ('iso-8859-15', 'iso-8859-15')], default='utf-8', help_text='Of CSV and TSV, which do not say it, and of bytes in XML that are not in UTF-8 as it says. What begins with a byte order mark is read by that.', verbose_name='encoding'),
        ),
        migrations.AddConstraint(
            model_name='feed',
            constraint=models.CheckConstraint(condition=models.Q(('table_encoding__in', ('utf-8', 'windows-1252', 'windows-1256', 'windows-1250', 'windows-1251', 'windows-1254', 'windows-1255', 'iso-8859-1', 'iso-8859-2', 'iso-8859-9', 'iso-8859-15'))), name='feed_table_encoding_known'),
        ),
    ]
