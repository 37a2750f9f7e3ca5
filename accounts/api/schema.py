"""What the API's description has to be told about our classes. Imported for that alone, when the app is ready."""

from drf_spectacular.contrib import rest_auth
from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.extensions import OpenApiViewExtension

# They describe views that cannot be imported without logins through other sites, which are not installed.
for extension in (
    rest_auth.RestAuthRegisterView,
    rest_auth.RestAuthVerifyEmailView,
    rest_auth.RestAuthResendEmailVerificationView,
):
    OpenApiViewExtension._registry.remove(extension)


class SessionScheme(SimpleJWTScheme):
    target_class = "accounts.sessions.SessionAuthentication"
    name = "bearer"
