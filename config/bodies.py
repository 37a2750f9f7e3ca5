"""What is refused before a body is read.

Django reads a form where it looks for the CSRF token, which is before any view asks who sends it.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from catalog.errors import CatalogError, FeedRefused
from catalog.imports.permissions import require
from catalog.imports.quotas import TOO_LARGE
from catalog.imports.receive import check_length
from catalog.upload_handler import file_size, length_of
from config.errors import refused

# The API's call checks the length itself, when it knows the account.
UPLOAD_BY_API, UPLOAD_BY_FORM = "upload-products", "admin:catalog_product_import"


class LimitBodies:
    """Refuses a body by its size, and in the admin by who sends it, without reading any of it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, _view: Any, _arguments: Any, _options: Any) -> HttpResponse | None:
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return None
        page = request.resolver_match.view_name if request.resolver_match else ""
        open_to_strangers = (reverse("admin:login"), reverse("admin:logout"))
        is_for_staff = request.path.startswith(reverse("admin:index")) and request.path not in open_to_strangers
        if is_for_staff and not admin.site.has_permission(request):
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        try:
            self._check_size(request, page)
        except CatalogError as error:
            return refused(request, error)
        return None

    def _check_size(self, request: HttpRequest, page: str) -> None:
        size = length_of(request.META)
        if page == UPLOAD_BY_FORM:
            require(request.user, "catalog.add_importrun")
            check_length(file_size(size), by=request.user)
        elif page != UPLOAD_BY_API and size > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            raise FeedRefused(TOO_LARGE, f"The body may have at most {limit:,} bytes.")
