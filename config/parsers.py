"""The bodies that the API reads."""

import json
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser


class BodyTooLarge(APIException):
    status_code = 413
    default_code = "body_too_large"


class StrictJSONParser(BaseParser):
    """JSON by the standard: UTF-8 whatever the header claims, limited in size, and only text that can be stored.

    A charset like `zlib` would unpack without limit, and a lone surrogate or endless nesting raises wherever the value
    is used next.
    """

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge(f"The body may have at most {limit:,} bytes.")
        try:
            value = json.loads(body.decode(), parse_constant=refuse_constant)
            json.dumps(value, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is not JSON that can be read: {str(error)[:200]}") from error
        return value


def refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")
