"""What an earlier release stored is hidden by a migration."""

import importlib

import pytest
from django.contrib.auth.models import AbstractUser
from django.core import signing
from django.db import connection

from notifications.models import Message

migration = importlib.import_module("notifications.migrations.0003_hidden_secrets")


@pytest.mark.django_db
def test_stored_links_that_stop_a_mail_lose_their_token(alice: AbstractUser) -> None:
    token = signing.dumps([str(alice.pk), "import_applied"], salt="notifications.stop", compress=True)
    address = f"https://shop.example/mail/stop/{token}/"
    text, html = f"Stop them: {address}\n", f'<a href="{address}">Stop</a> /mail/ <a href="/other/">Other</a>'
    message = Message.objects.create(name="import_applied", about="x", subject="A", text=text, html=html)
    with connection.cursor() as cursor:
        cursor.execute(migration.HIDE)
    message.refresh_from_db()
    hidden = "https://shop.example/mail/stop/?token=~hidden~"
    assert (message.text, message.html) == (text.replace(address, hidden), html.replace(address, hidden))
