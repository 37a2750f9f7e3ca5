"""No stored message has a link with which somebody else could stop the recipient's e-mails."""

from django.db import migrations

HIDE = """
    UPDATE notifications_message
    SET text = regexp_replace(text, '/mail/stop/[A-Za-z0-9_:.-]+/', '/mail/stop/?token=~hidden~', 'g'),
        html = regexp_replace(html, '/mail/stop/[A-Za-z0-9_:.-]+/', '/mail/stop/?token=~hidden~', 'g')
    WHERE text LIKE '%/mail/stop/%' OR html LIKE '%/mail/stop/%'
"""


class Migration(migrations.Migration):
    dependencies = [("notifications", "0002_plain_words")]
    operations = [migrations.RunSQL(HIDE, migrations.RunSQL.noop)]
