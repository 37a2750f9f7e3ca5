"""Behind a TLS proxy, everything from the environment; a missing value stops the start with its name."""

from django.core.exceptions import ImproperlyConfigured

from config.environment import check_address, check_secret, checked_hosts, checked_origins, checked_roles
from config.settings.base import *  # noqa: F403
from config.settings.base import SIMPLE_JWT, STORAGES, env

for name in (
    "DJANGO_SECRET_KEY",
    "JWT_SIGNING_KEY",
    "DJANGO_ALLOWED_HOSTS",
    "SITE_URL",
    "DATABASE_URL",
    "REDIS_URL",
    "EMAIL_URL",
    "DEFAULT_FROM_EMAIL",
    "PROXY_COUNT",  # one too many lets clients choose what they are counted by, one too few counts all as one
    "ACCOUNT_SIGNUP_OPEN",  # whether strangers make accounts, and whether what they upload waits for a person
    "API_UPLOAD_REVIEW",
):
    if not env.str(name, default=""):
        raise ImproperlyConfigured(
            f"Set {name} in the environment: production has no default for it. See .env.example."
        )

check_address("SITE_URL", env.str("SITE_URL"), "https", "http")
check_address("DATABASE_URL", env.str("DATABASE_URL"), "postgresql", "postgres", "psql", "pgsql")
check_address("REDIS_URL", env.str("REDIS_URL"), "redis", "rediss", "unix")
SECRET_KEY = env.str("DJANGO_SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("DJANGO_SECRET_KEY_FALLBACKS", default=[])
JWT_SIGNING_KEY = env.str("JWT_SIGNING_KEY")
check_secret("DJANGO_SECRET_KEY", SECRET_KEY)
check_secret("JWT_SIGNING_KEY", JWT_SIGNING_KEY)
if JWT_SIGNING_KEY == SECRET_KEY:
    raise ImproperlyConfigured("JWT_SIGNING_KEY must be a random text of its own, and not DJANGO_SECRET_KEY.")
SIMPLE_JWT = {**SIMPLE_JWT, "SIGNING_KEY": JWT_SIGNING_KEY}
# Else sign-up says which addresses have an account.
ACCOUNT_EMAIL_VERIFICATION = env.str("ACCOUNT_EMAIL_VERIFICATION", default="") or "mandatory"
SECOND_FACTOR_ROLES = checked_roles(env.list("SECOND_FACTOR_ROLES", default=["approver", "manager"]))
ALLOWED_HOSTS = checked_hosts(env.list("DJANGO_ALLOWED_HOSTS"))
CSRF_TRUSTED_ORIGINS = checked_origins(
    "DJANGO_CSRF_TRUSTED_ORIGINS", env.list("DJANGO_CSRF_TRUSTED_ORIGINS", default=[])
)

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.flag("DJANGO_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}
