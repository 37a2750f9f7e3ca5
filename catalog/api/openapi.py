"""What the descriptions of several calls have in common."""

from drf_spectacular.utils import OpenApiParameter

from accounts.api.schema import Answer
from catalog.api.examples import IMPORT, PRODUCT

VERSION_HEADER = OpenApiParameter(
    "Catalogue-Version",
    int,
    OpenApiParameter.HEADER,
    required=True,
    response=[200, 304],
    description="The version of the market's products: `/products/changes/` says what changed since.",
)


def conditional(*, has_streams: bool = False) -> list[OpenApiParameter]:
    """Parameters and headers of a call about the catalogue. Its answers have an ETag, unless they are streams."""
    return [
        OpenApiParameter(
            "If-None-Match",
            str,
            OpenApiParameter.HEADER,
            description="The ETag of the answer that you have: 304 without a body if it is still current.",
        ),
        OpenApiParameter(
            "ETag",
            str,
            OpenApiParameter.HEADER,
            required=not has_streams,
            response=[200, 304],
            description="Names this answer.",
        ),
        VERSION_HEADER,
    ]


CONDITIONAL = conditional()
NOT_MODIFIED = Answer(None, meaning="The answer that you have is still current.")
PRODUCT_ID = OpenApiParameter(
    "id",
    {"type": "string", "minLength": 1, "maxLength": 500, "pattern": r"^[^\u0000]+$", "example": PRODUCT["id"]},
    OpenApiParameter.PATH,
)
IMPORT_ID = OpenApiParameter(
    "id", {"type": "integer", "minimum": 1, "maximum": 10**18 - 1, "example": IMPORT["id"]}, OpenApiParameter.PATH
)
