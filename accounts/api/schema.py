"""How the API describes authentication, and examples of people and tokens."""

from drf_spectacular.contrib import rest_auth
from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.extensions import OpenApiViewExtension

# They describe views that need social logins, which are not installed.
for extension in (
    rest_auth.RestAuthRegisterView,
    rest_auth.RestAuthVerifyEmailView,
    rest_auth.RestAuthResendEmailVerificationView,
):
    OpenApiViewExtension._registry.remove(extension)

PERSON = {
    "pk": "0f9b8f4e-2f0e-4a53-9d0a-6a2b8a1c3f57",
    "username": "dora",
    "email": "dora@example.com",
    "first_name": "Dora",
    "last_name": "Ash",
}
PASSWORD = "correct horse battery"  # noqa: S105  # an example
TOKENS = {"access": "eyJhbGciOiJIUzI1NiIs…", "refresh": "eyJhbGciOiJIUzI1NiIs…"}


class SessionScheme(SimpleJWTScheme):
    """How requests are authenticated."""

    target_class = "accounts.sessions.SessionAuthentication"
    name = "bearer"
