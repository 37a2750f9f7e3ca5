"""What the API's description says of the calls about accounts."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.contrib import rest_auth
from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.utils import OpenApiExample, extend_schema

# They describe views that cannot be imported without logins through other sites, which are not installed.
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


def call(
    operation_id: str, answer: Any, example: Any, *, errors: Iterable[int], sent: Any = None, status: int = 200
) -> Any:
    """The description of one call: what it answers, how it fails, and an example of what is `sent` and answered."""
    examples = [OpenApiExample("Answer", example, response_only=True, status_codes=[str(status)])]
    if sent is not None:
        examples.append(OpenApiExample("Sent", sent, request_only=True))
        errors = [*errors, 413, 415]
    more = {"request": None} if sent is None else {}
    return extend_schema(
        operation_id=operation_id,
        tags=["accounts"],
        responses={status: answer, **dict.fromkeys(errors)},
        examples=examples,
        **more,
    )
