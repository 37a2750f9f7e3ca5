# One image for web, worker, beat and migrations; docker-compose.yml says which command each of them runs.

FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements/production.txt /tmp/
RUN /venv/bin/pip install -r /tmp/production.txt

FROM python:3.13-slim
# EMBEDDED=0: here the servers are other containers, and a missing DATABASE_URL must be an error.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    EMBEDDED=0 \
    DJANGO_SETTINGS_MODULE=config.settings.production \
    MEDIA_ROOT=/media \
    WEB_CONCURRENCY=2
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin app \
    && install --directory --owner app /media
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
# The values only let the settings load; none of them is in the image's environment.
RUN random() { python -c 'import secrets; print(secrets.token_urlsafe(50))'; }; \
    DJANGO_SECRET_KEY=$(random) JWT_SIGNING_KEY=$(random) DJANGO_ALLOWED_HOSTS=build SITE_URL=http://build \
    DATABASE_URL=postgresql://build/build REDIS_URL=redis://build EMAIL_URL=console: DEFAULT_FROM_EMAIL=build@build PROXY_COUNT=0 \
    ACCOUNT_SIGNUP_OPEN=0 API_UPLOAD_REVIEW=1 \
    python manage.py collectstatic --no-input
USER app
VOLUME /media
EXPOSE 8000

# Docker restarts what ends, but not what is unhealthy: the check itself ends a container that stays silent.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-m", "config.alive", "web"]

# Threads, because a large upload keeps one busy for minutes; their worker still tells gunicorn that it lives. As many as
# config.middleware lets read bodies and catalog.api.uploads lets wait, and more for pages.
# A process whose threads are busy leaves new connections to the other processes, but for some that a proxy keeps open.
# The longest line that it takes at all: a dozen long brands in Arabic are more than its default of 4,094.
CMD ["gunicorn", "config.wsgi", "--bind=0.0.0.0:8000", "--worker-class=gthread", "--threads=32", "--worker-connections=40", \
     "--limit-request-line=8190", "--worker-tmp-dir=/dev/shm", "--no-control-socket", "--config=python:config.gunicorn"]
