"""Exports that workers make, and the permission to export, which everybody gets who could export before."""

import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


def let_viewers_export(apps, schema_editor):
    """Until now, whoever could view products could export them."""
    database = schema_editor.connection.alias
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.using(database).get_or_create(
        app_label="catalog", model="product"
    )
    permissions = apps.get_model("auth", "Permission").objects.using(database)
    export, _ = permissions.get_or_create(
        content_type=content_type, codename="export_product", defaults={"name": "Can export products"}
    )
    view = permissions.filter(content_type=content_type, codename="view_product")
    for group in apps.get_model("auth", "Group").objects.using(database).filter(permissions__in=view):
        group.permissions.add(export)
    for person in apps.get_model("accounts", "User").objects.using(database).filter(user_permissions__in=view):
        person.user_permissions.add(export)


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0021_meaning'),
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='product',
            options={'ordering': ['id'], 'permissions': [('export_product', 'Can export products')]},
        ),
        migrations.CreateModel(
            name='Export',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('format', models.TextField(verbose_name='format')),
                ('query', models.TextField(blank=True, default='')),
                ('status', models.TextField(choices=[('waiting', 'Waiting'), ('making', 'Being made'), ('ready', 'Ready'), ('failed', 'Failed')], default='waiting', verbose_name='status')),
                ('code', models.TextField(blank=True, default='')),
                ('sentence', models.TextField(blank=True, default='', verbose_name='in words')),
                ('products', models.BigIntegerField(default=0, verbose_name='products')),
                ('expected', models.BigIntegerField(null=True)),
                ('file', models.FileField(blank=True, default='', max_length=200, upload_to='', verbose_name='file')),
                ('file_size', models.BigIntegerField(null=True, verbose_name='size')),
                ('claims', models.PositiveSmallIntegerField(default=0)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='asked for')),
                ('started_at', models.DateTimeField(null=True, verbose_name='started')),
                ('finished_at', models.DateTimeField(null=True, verbose_name='finished')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='asked by')),
                ('market', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='catalog.market', verbose_name='market')),
            ],
            options={
                'verbose_name': 'export',
                'verbose_name_plural': 'exports',
                'ordering': ['-pk'],
                'default_permissions': (),
                'indexes': [models.Index(fields=['by', '-id'], name='export_latest_of_person'), models.Index(models.F('created_at'), condition=models.Q(('status__in', ('waiting', 'making'))), name='export_open')],
                'constraints': [models.CheckConstraint(condition=models.Q(('status__in', ['waiting', 'making', 'ready', 'failed'])), name='export_status_known'), models.UniqueConstraint(models.F('by'), models.F('market'), models.F('format'), django.db.models.functions.text.MD5('query'), condition=models.Q(('status__in', ('waiting', 'making'))), name='export_one_open')],
            },
        ),
        migrations.RunPython(let_viewers_export, migrations.RunPython.noop),
    ]
