"""Where requests go."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts.pages import admin_login
from catalog.admin.palette import search_view
from config.health import health_check, ready
from notifications.views import my_mail

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/my-mail/", admin.site.admin_view(my_mail), name="my-mail"),
    path("admin/login/", admin_login),
    path("admin/search/", admin.site.admin_view(search_view)),
    path(
        "admin/password_change/",
        admin.site.admin_view(RedirectView.as_view(pattern_name="account_change_password")),
    ),
    path("admin/", admin.site.urls),
    path("accounts/", include("accounts.urls")),
    path("mail/", include("notifications.urls")),
    path("health-check/", health_check, name="health-check"),
    path("health-check/ready/", ready, name="ready"),
    # The same calls twice. Names lead to the original's addresses, which come last; `config.versions` to the others.
    path("api/v1/", include("accounts.api.urls")),
    path("api/v1/", include("catalog.api.urls")),
    path("", include("accounts.api.urls")),
    path("", include("catalog.api.urls")),
    path("schema/", SpectacularAPIView.as_view(versioning_class=None), name="schema"),
    # A page cannot say what it is to OPTIONS.
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(versioning_class=None, http_method_names=["get", "head"]),
        name="docs",
    ),
]

handler400 = "config.errors.bad_request"
handler403 = "config.errors.permission_denied"
handler404 = "config.errors.not_found"
handler500 = "config.errors.server_error"
