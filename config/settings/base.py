"""What holds everywhere. The servers are those that the environment names; `local` has others for a checkout."""

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from catalog.feeds.limits import Limits
from config.environment import (
    Environment,
    checked_groups,
    checked_keys,
    checked_networks,
    checked_ports,
    checked_provider,
    checked_receiver,
    checked_roles,
)
from config.mail import checked_sender, mail_settings
from config.settings.unfold import UNFOLD  # noqa: F401
from events.rendering import logging_settings

BASE_DIR = Path(__file__).resolve().parents[2]
VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]

env = Environment()
env.read_env(BASE_DIR / ".env")


def broker_url(redis_url: str) -> str:
    """Celery spells a unix socket differently from redis-py and Django."""
    return f"redis+socket://{redis_url[len('unix://') :]}" if redis_url.startswith("unix://") else redis_url


# --- security -------------------------------------------------------------------------------------
DEBUG = False
ALLOWED_HOSTS: list[str] = []
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "config.errors.csrf_failure"

# --- applications ---------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",  # its templates must be found before the admin's
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.import_export",  # before import_export, for the same reason
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "import_export",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "rest_framework",
    "dj_rest_auth",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "django_celery_beat",
    "config",
    "accounts",
    "schedule",
    "notifications",
    "catalog",
]
MIDDLEWARE = [
    "config.request_log.log_requests",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.middleware.limit_what_pages_load",
    "config.errors.without_html",
    "config.middleware.refuse_bad_address",
    "config.middleware.want_length",
    "accounts.limits.show_limits",
    "config.middleware.DatabaseAway",
    "config.middleware.RefusedTries",
    "config.middleware.RefusedOperations",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "config.middleware.Slashes",
    "config.bodies.LimitBodies",  # before the next, which reads forms
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "config.middleware.DemandSecondFactor",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.context.look_of_the_admin",
            ],
        },
    },
]

# --- people ---------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
# One password backend only: with two, the time of a failed login tells known accounts from unknown ones.
AUTHENTICATION_BACKENDS = ["accounts.backends.NameOrAddressBackend"]
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "accounts.page_forms.LoginForm",
    "reset_password": "accounts.page_forms.ForgottenPasswordForm",
    "reset_password_from_key": "accounts.page_forms.ResetPasswordForm",
    "user_token": "accounts.page_forms.UserTokenForm",
    "change_password": "accounts.page_forms.ChangePasswordForm",
    "set_password": "accounts.page_forms.SetPasswordForm",
}
ACCOUNT_RATE_LIMITS = False  # accounts.limits counts for pages and calls together
ACCOUNT_CHANGE_EMAIL = True  # one address for each person
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # an open browser is not enough to take an account over
ACCOUNT_SIGNUP_OPEN = env.flag("ACCOUNT_SIGNUP_OPEN", default=True)
ACCOUNT_EMAIL_VERIFICATION = env.str("ACCOUNT_EMAIL_VERIFICATION", default="") or "none"
if ACCOUNT_EMAIL_VERIFICATION not in ("none", "optional", "mandatory"):
    raise ImproperlyConfigured("ACCOUNT_EMAIL_VERIFICATION must be none, optional or mandatory. See .env.example.")
# allauth's own makes a row for an address that nobody has given it, which would then wait to be confirmed.
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"
PASSWORD_RESET_TIMEOUT = 60 * 60
MFA_ADAPTER = "accounts.second_factor.SecondFactorAdapter"
MFA_FORMS = {
    "authenticate": "accounts.page_forms.CodeForm",
    "reauthenticate": "accounts.page_forms.CodeAgainForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RATE_LIMITS = False  # as above
MFA_TOTP_ISSUER = "Ounass Product Management"
MFA_TOTP_TOLERANCE = 1  # half a minute before and after
# Where addresses have to be confirmed, nobody gets in without; a change that waits is no reason to refuse.
MFA_ALLOW_UNVERIFIED_EMAIL = True
# Whoever may do what only these roles may do needs a second factor, after days of grace.
SECOND_FACTOR_ROLES = checked_roles(env.list("SECOND_FACTOR_ROLES", default=[]))
SECOND_FACTOR_GRACE_DAYS = env.limit("SECOND_FACTOR_GRACE_DAYS", default=14, least=0)
# OpenID Connect, where a provider is named.
OPENID_SERVER = checked_provider(env.str("OPENID_SERVER", default=""))
OPENID_NAME = env.str("OPENID_NAME", default="") or "OpenID"
OPENID_CLIENT_ID = env.str("OPENID_CLIENT_ID", default="")
OPENID_CLIENT_SECRET = env.str("OPENID_CLIENT_SECRET", default="")
OPENID_DOMAINS = [domain.strip().lower() for domain in env.list("OPENID_DOMAINS", default=[])]
OPENID_SCOPE = (env.str("OPENID_SCOPE", default="") or "openid email profile").split()
OPENID_GROUPS = checked_groups(env.str("OPENID_GROUPS", default=""))
OPENID_GROUPS_CLAIM = env.str("OPENID_GROUPS_CLAIM", default="") or "groups"
OPENID_PASSWORD_LOGIN = env.flag("OPENID_PASSWORD_LOGIN", default=True)
if OPENID_SERVER and not (OPENID_CLIENT_ID and OPENID_CLIENT_SECRET and any(OPENID_DOMAINS)):
    raise ImproperlyConfigured(
        "OPENID_SERVER needs OPENID_CLIENT_ID, OPENID_CLIENT_SECRET and OPENID_DOMAINS. See .env.example."
    )
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5  # seconds, for each answer of the provider to begin and to go on
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
ADMIN_PASSWORD_FILE: Path | None = None  # only a checkout keeps a generated password
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "admin:index"
LOGOUT_REDIRECT_URL = "account_login"

# --- the API --------------------------------------------------------------------------------------
# The address of this site for people. Links in mails use it, never the host that a request names.
SITE_URL = env.str("SITE_URL", default=f"http://localhost:{env.int('PORT', default=8000)}")
# How many proxies are in front of the web server: that many entries of X-Forwarded-For are true. Limits use addresses.
PROXY_COUNT = env.limit("PROXY_COUNT", default=0, least=0)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.sessions.SessionAuthentication", "accounts.keys.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["config.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["accounts.limits.Throttle"],
    "DEFAULT_VERSIONING_CLASS": "config.versions.Version",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "config.problems.Negotiation",
    "EXCEPTION_HANDLER": "config.errors.answer_for",
    "URL_FORMAT_OVERRIDE": None,  # else ?format=xml is accepted, and not refused as an unknown parameter
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "NUM_PROXIES": PROXY_COUNT,
}
SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "ISSUER": "ounass-product-management",
    "AUDIENCE": "ounass-product-management-api",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "ROTATE_REFRESH_TOKENS": True,
    "AUTH_HEADER_TYPES": ("Bearer", "Token"),  # the first is ours, the second that of clients of the original system
    "LEEWAY": 5,  # seconds by which two machines' clocks may differ
    "USER_ID_CLAIM": "sub",
}
REST_AUTH = {
    "USE_JWT": True,
    "JWT_TOKEN_CLAIMS_SERIALIZER": "accounts.sessions.Claims",
    "JWT_SERIALIZER": "accounts.api.serializers.TokensSerializer",
    "USER_DETAILS_SERIALIZER": "accounts.api.serializers.PersonSerializer",
    "TOKEN_MODEL": None,
    "SESSION_LOGIN": False,  # else a login through the API opens the admin too
    "JWT_AUTH_HTTPONLY": False,  # tokens travel in the body and the Authorization header, never in cookies
    "OLD_PASSWORD_FIELD_ENABLED": True,
    "LOGOUT_ON_PASSWORD_CHANGE": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Ounass Product Management",
    "DESCRIPTION": "Accounts, products and imports over HTTP. Sign up, log in, and send the `access` token with each "
    "call: `Authorization: Bearer …`. It is valid for 15 minutes; `refresh` gives the next one, once.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    # The page at /docs/ comes with its scripts and styles, and asks no other site to check the schema.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVERS": [{"url": "/api/v1"}],
    "PREPROCESSING_HOOKS": ["config.versions.leave_out_aliases"],
    "SORT_OPERATIONS": False,  # in the order of the addresses, which begins with sign-up
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.schema.describe_what_is_open",
        "config.schema.describe_errors",
        "config.schema.describe_empty_parameters",
        "config.schema.summarize_calls",
        "config.schema.sort_methods",
        "catalog.api.webhooks.describe_webhooks",
    ],
}
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/(?!admin/|accounts/)"
CORS_ALLOW_HEADERS = (
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "prefer",
)
CORS_EXPOSE_HEADERS = (
    "Catalogue-Version",
    "ETag",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-ID",
)

# Whether imports uploaded through the API wait for a person to confirm them.
API_UPLOAD_REVIEW = env.flag("API_UPLOAD_REVIEW", default=False)

# --- data -----------------------------------------------------------------------------------------
DATABASES: dict[str, dict[str, Any]] = {"default": {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}
if env.str("DATABASE_URL", default=""):
    DATABASES["default"] |= env.db("DATABASE_URL")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env.str("REDIS_URL", default="")
CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "ounass",
        # The client would wait five seconds for each of several commands, and hold a login for a quarter of a minute.
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    },
    # Answers of the API, kept in each web process for the next time: quicker than a socket, and bounded.
    "answers": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "answers",
        "OPTIONS": {"MAX_ENTRIES": 256},
    },
}

# --- language and time ----------------------------------------------------------------------------
LANGUAGE_CODE = "en-us"
TIME_ZONE = env.str("TIME_ZONE", default="Asia/Dubai")
USE_TZ = True
USE_I18N = True
FORMAT_MODULE_PATH = ["config.formats"]

# --- files ----------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
FILE_UPLOAD_HANDLERS = [
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "catalog.upload_handler.NamelessFileUploadHandler",
]
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(BASE_DIR / "media")))
STORAGES: dict[str, Any] = {
    # Feeds are private: nothing under MEDIA_ROOT is served by URL.
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"file_permissions_mode": 0o640},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if env.str("FILES_BUCKET", default=""):
    STORAGES["default"] = {
        "BACKEND": "config.storage.Bucket",
        "OPTIONS": {
            "bucket_name": env.str("FILES_BUCKET"),
            "endpoint_url": env.str("FILES_ENDPOINT", default="") or None,
            "region_name": env.str("FILES_REGION", default="us-east-1"),
            "access_key": env.str("FILES_ACCESS_KEY"),
            "secret_key": env.str("FILES_SECRET_KEY"),
        },
    }

# --- background work ------------------------------------------------------------------------------
IMPORT_MAX_SECONDS = env.limit("IMPORT_MAX_SECONDS", default=3 * 60 * 60)  # for reading, and again for applying
CELERY_BROKER_URL = broker_url(REDIS_URL)
CELERY_RESULT_BACKEND = None
CELERY_RESULT_EXPIRES = None  # else beat adds a clean-up job for results that do not exist
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = TIME_ZONE
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_RETRY_ON_WORKER_LOST = True  # limited by max_retries; rejecting alone would repeat a deadly task for ever
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SOFT_TIME_LIMIT = IMPORT_MAX_SECONDS
CELERY_TASK_TIME_LIMIT = CELERY_TASK_SOFT_TIME_LIMIT + 60
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20  # on SIGQUIT; the container maps its SIGTERM to that
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": CELERY_TASK_TIME_LIMIT
    + 600,  # longer than any task, or it starts a second time while it runs
    "socket_timeout": 30,
    "socket_keepalive": True,
}
CELERY_BEAT_SYNC_EVERY = 1  # beat saves at once what it enqueued, because the readiness check looks for it
CELERY_BEAT_SCHEDULER = "schedule.beat:Scheduler"

# Five workers. Neither a mail server nor a shop's server that does not answer must delay imports, nor imports exports.
# None of these may delay the periodic tasks, which find lost work and show that all is well.
CELERY_TASK_ROUTES = {
    "notifications.deliver": {"queue": "mail"},
    "accounts.forget_*": {"queue": "upkeep"},
    "catalog.fetch": {"queue": "fetch"},
    "catalog.fetch_due": {"queue": "fetch"},
    "catalog.export": {"queue": "export"},
    "catalog.deliver_webhooks": {"queue": "mail"},
    "catalog.forget_old": {"queue": "upkeep"},
    "catalog.sweep": {"queue": "upkeep"},
    "notifications.digest": {"queue": "upkeep"},
    "notifications.forget_old": {"queue": "upkeep"},
    "schedule.*": {"queue": "upkeep"},
}

# --- mail -----------------------------------------------------------------------------------------
if env.str("EMAIL_URL", default=""):
    globals().update(mail_settings(env.str("EMAIL_URL")))
EMAIL_TIMEOUT = 10  # for each answer; Django's default is to wait for ever
DEFAULT_FROM_EMAIL = checked_sender(
    env.str("DEFAULT_FROM_EMAIL", default="") or "Ounass Product Management <catalogue@localhost>"
)
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# --- what is kept for how long --------------------------------------------------------------------
# Days; 0 keeps them for ever.
RETENTION_FILES_DAYS = env.limit("RETENTION_FILES_DAYS", default=90, least=0)
RETENTION_ITEMS_DAYS = env.limit("RETENTION_ITEMS_DAYS", default=90, least=0)
RETENTION_PLANS_DAYS = env.limit("RETENTION_PLANS_DAYS", default=30, least=0)
RETENTION_MESSAGES_DAYS = env.limit("RETENTION_MESSAGES_DAYS", default=90, least=0)
RETENTION_FETCHES_DAYS = env.limit("RETENTION_FETCHES_DAYS", default=90, least=0)
RETENTION_VERSIONS_DAYS = env.limit("RETENTION_VERSIONS_DAYS", default=90, least=0)
RETENTION_EXPORTS_DAYS = env.limit("RETENTION_EXPORTS_DAYS", default=7, least=0)

# --- import and export ----------------------------------------------------------------------------
IMPORT_EXPORT_IMPORT_PERMISSION_CODE = "import"
IMPORT_EXPORT_EXPORT_PERMISSION_CODE = "export"
FEED_MAX_BYTES = env.limit("FEED_MAX_BYTES", default=4 * 1024**3)  # like Merchant Center: 4 GB a file
# For one account: imports that are not finished, bytes of new files within a day, and uploads within a minute.
UPLOAD_MAX_OPEN = env.limit("UPLOAD_MAX_OPEN", default=50)
UPLOAD_MAX_BYTES_PER_DAY = env.limit("UPLOAD_MAX_BYTES_PER_DAY", default=20 * 1024**3)
UPLOAD_MAX_PER_MINUTE = env.limit("UPLOAD_MAX_PER_MINUTE", default=60)
FEED_LIMITS = Limits(
    unpacked_bytes=env.limit("FEED_MAX_UNPACKED_BYTES", default=Limits.unpacked_bytes),
    ratio=env.limit("FEED_MAX_RATIO", default=Limits.ratio),
    items=env.limit("FEED_MAX_ITEMS", default=Limits.items),
    item_bytes=env.limit("FEED_MAX_ITEM_BYTES", default=Limits.item_bytes),
    attributes=env.limit("FEED_MAX_ATTRIBUTES", default=Limits.attributes),
    depth=env.limit("FEED_MAX_DEPTH", default=Limits.depth),
    value_chars=env.limit("FEED_MAX_VALUE_CHARS", default=Limits.value_chars),
)

# --- feeds that arrive by themselves --------------------------------------------------------------
FETCH_ALLOW = checked_networks(env.str("FETCH_ALLOW", default=""))
FETCH_PORTS = checked_ports(env.str("FETCH_PORTS", default=""))
FETCH_MAX_SECONDS = env.limit("FETCH_MAX_SECONDS", default=30 * 60)
# Fewer bytes than that within so many seconds are too slow; the time until the first byte counts.
FETCH_SLOW_BYTES = env.limit("FETCH_SLOW_BYTES", default=1000)
FETCH_SLOW_SECONDS = env.limit("FETCH_SLOW_SECONDS", default=60)
FETCH_MAX_HEADER_BYTES = env.limit("FETCH_MAX_HEADER_BYTES", default=32 * 1024)
FETCH_PAUSE_DAYS = env.limit("FETCH_PAUSE_DAYS", default=7, least=0)
# Feeds that are due in one minute start within so many seconds of each other.
FETCH_SPREAD_SECONDS = env.limit("FETCH_SPREAD_SECONDS", default=30, least=0)
FEED_DROP_ROOT = env.str("FEED_DROP_ROOT", default="")
# Texts that credentials are encrypted with, the newest first; the others only decrypt.
FEED_CREDENTIAL_KEYS = checked_keys(env.str("FEED_CREDENTIAL_KEYS", default=""))

# --- what is sent to others, if to anybody ---------------------------------------------------------
OTEL_EXPORTER_OTLP_ENDPOINT = checked_receiver(
    "OTEL_EXPORTER_OTLP_ENDPOINT", env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="")
)
SENTRY_DSN = checked_receiver("SENTRY_DSN", env.str("SENTRY_DSN", default=""))

# --- logs -----------------------------------------------------------------------------------------
LOGGING = logging_settings(as_text=False)
