"""The calls of DESIGN's table that are about accounts."""

from typing import cast

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.serializers import PersonSerializer
from accounts.models import User


class AuthProtectedCheckView(APIView):
    """Whether the token is good, and whose it is."""

    @extend_schema(operation_id="auth_protected_check", responses=PersonSerializer)
    def get(self, request: Request) -> Response:
        return Response(PersonSerializer(person_of(request)).data)


def person_of(request: Request) -> User:
    return cast("User", request.user)  # the permission lets nobody anonymous get this far
