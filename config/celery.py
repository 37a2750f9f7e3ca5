"""The Celery application. Settings live in `config.settings` under the `CELERY_` prefix."""

from celery import Celery, signals

app = Celery("config")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.celeryd_init.connect
@signals.beat_init.connect
def start_servers(**_: object) -> None:
    """A worker or a beat started by hand finds its database and broker up."""
    from config import embedded

    embedded.ensure()
