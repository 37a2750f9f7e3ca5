"""Where requests go."""

from django.contrib import admin
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from accounts.views import admin_login
from notifications.views import my_mail


def health_check(_request: HttpRequest) -> JsonResponse:
    """The process answers. It touches nothing else, so that it stays true when everything else is down."""
    return JsonResponse({"status": "ok"})


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/my-mail/", admin.site.admin_view(my_mail), name="my-mail"),
    path("admin/login/", admin_login),
    path("admin/", admin.site.urls),
    path("mail/", include("notifications.urls")),
    path("health-check/", health_check, name="health-check"),
    path("", include("accounts.api.urls")),
    path("", include("catalog.api.urls")),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerView.as_view(), name="docs"),
]
