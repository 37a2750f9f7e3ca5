"""The version of the API: its calls are at `/api/v1/…`, and at the original's addresses, which stay."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.urls import get_script_prefix, reverse
from rest_framework.request import Request
from rest_framework.versioning import URLPathVersioning

PREFIX = "api/v1/"


class Version(URLPathVersioning):
    """There is one version. Links in answers have the form of the address that was asked for."""

    default_version = "v1"

    def determine_version(self, request: Request, *_: Any, **__: Any) -> str:
        return self.default_version

    def reverse(
        self,
        viewname: str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        request: Request | None = None,
        format: str | None = None,
        **extra: Any,
    ) -> str:
        address, root = reverse(viewname, args=args, kwargs=dict(kwargs or {}), **extra), get_script_prefix()
        if request is None:
            return address
        if request.path_info.startswith(f"/{PREFIX}"):
            address = f"{root}{PREFIX}{address.removeprefix(root)}"
        return str(request.build_absolute_uri(address))


def leave_out_aliases(endpoints: list[Any]) -> list[Any]:
    """In the schema each call is once; `SERVERS` says where."""
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith(f"/{PREFIX}")]
