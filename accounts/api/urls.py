"""The addresses of the calls about accounts. No cache may keep their answers, which hold tokens or names."""

from typing import Any

from django.urls import path
from django.views.decorators.cache import never_cache

from accounts.api import views


def uncached_path(route: str, view: Any, name: str) -> Any:
    return path(route, never_cache(view.as_view()), name=name)


urlpatterns = [
    uncached_path("signup/", views.SignupView, "signup"),
    uncached_path("signup/verify-email/", views.VerifyEmailView, "verify-email"),
    uncached_path("signup/resend-email/", views.ResendEmailView, "resend-email"),
    uncached_path("login/", views.LoginView, "login"),
    uncached_path("login/second-factor/", views.SecondFactorView, "login-second-factor"),
    uncached_path("logout/", views.LogoutView, "logout"),
    uncached_path("auth-protected-check/", views.AuthProtectedCheckView, "auth-protected-check"),
    uncached_path("token/refresh/", views.RefreshView, "token-refresh"),
    uncached_path("password/reset/", views.PasswordResetView, "password-reset"),
    uncached_path("password/reset/confirm/", views.PasswordResetConfirmView, "password-reset-confirm"),
    uncached_path("password/change/", views.PasswordChangeView, "password-change"),
    uncached_path("user/", views.UserView, "user"),
]
