"""How the API is described: `documented` for each call of any app, and how requests are authenticated."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from drf_spectacular.contrib import rest_auth
from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiViewExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.fields import empty

# They describe views that need social logins, which are not installed.
for extension in (
    rest_auth.RestAuthRegisterView,
    rest_auth.RestAuthVerifyEmailView,
    rest_auth.RestAuthResendEmailVerificationView,
):
    OpenApiViewExtension._registry.remove(extension)

JSON = "application/json"
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

    def get_security_definition(self, auto_schema: Any) -> Any:
        """The package's own warns that there is another word for it, `Token`, which is for old clients."""
        return build_bearer_security_scheme_object("HTTP_AUTHORIZATION", "Bearer", "JWT")


class KeyScheme(OpenApiAuthenticationExtension):
    """How a machine with a key is authenticated."""

    target_class = "accounts.keys.KeyAuthentication"
    name = "key"

    def get_security_requirement(self, auto_schema: Any) -> Any:
        """Only of calls that a key opens."""
        scopes = getattr(auto_schema.view, "key_scopes", ())
        if isinstance(scopes, dict):
            scopes = scopes.get(auto_schema.view.action, ())
        return super().get_security_requirement(auto_schema) if scopes else None

    def get_security_definition(self, auto_schema: Any) -> Any:
        description = "`Api-Key opm_…`, a key that its owner or a manager made. Each call takes the scopes it names."
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": description}


@dataclass(frozen=True)
class Answer:
    """What a call answers with one status: the serializer or type of its body, an example, and what it means."""

    body: Any
    example: Any = None
    meaning: str = ""
    media_type: str = JSON


def documented(
    tag: str,
    operation_id: str,
    answers: Mapping[int, Answer | tuple[Answer, ...]],
    *,
    errors: Iterable[int] = (),
    parameters: Iterable[Any] = (),
    request: Any = empty,
    sent: Any = None,
) -> Any:
    """Describe one call in the schema; its docstring says what it does.

    Where the media type of an answer is the caller's choice, a status has an answer for each, the usual one first.
    `errors` are the statuses of its refusals; 401 and 403 are added to every call that needs a token, 413 and 415 to
    every call that takes a body. `sent` is an example of the body, without which there is none; `request` is its
    serializer, by media type if it is not JSON, unless the view names one.
    """
    each = [
        (status, answer)
        for status, some in answers.items()
        for answer in (some if isinstance(some, tuple) else (some,))
    ]
    examples = [
        OpenApiExample(
            "Answer", answer.example, response_only=True, status_codes=[str(status)], media_type=answer.media_type
        )
        for status, answer in each
        if answer.body is not None
    ]
    responses: dict[Any, Any] = {
        (status, answer.media_type) if answer.body is not None else status: OpenApiResponse(answer.body, answer.meaning)
        for status, answer in each
    }
    if sent is None:
        request = None
    else:
        errors = (*errors, 413, 415)
        sent_as = next(iter(request)) if isinstance(request, dict) else JSON
        examples.append(OpenApiExample("Sent", sent, request_only=True, media_type=sent_as))
    return extend_schema(
        operation_id=operation_id,
        tags=[tag],
        parameters=[*parameters],
        request=request,
        responses=responses | dict.fromkeys(errors),
        examples=examples,
    )
