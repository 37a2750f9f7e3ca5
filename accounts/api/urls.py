"""Where the calls about accounts are found. Nobody on the way may keep an answer: it has tokens, or a person's name."""

from typing import Any

from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache

from accounts.api import views


def call(route: str, view: Any, name: str) -> URLPattern:
    return path(route, never_cache(view.as_view()), name=name)


urlpatterns = [
    call("signup/", views.SignupView, "signup"),
    call("signup/verify-email/", views.VerifyEmailView, "verify-email"),
    call("signup/resend-email/", views.ResendEmailView, "resend-email"),
    call("login/", views.LoginView, "login"),
    call("logout/", views.LogoutView, "logout"),
    call("auth-protected-check/", views.AuthProtectedCheckView, "auth-protected-check"),
    call("token/refresh/", views.RefreshView, "token-refresh"),
    call("password/reset/", views.PasswordResetView, "password-reset"),
    call("password/reset/confirm/", views.PasswordResetConfirmView, "password-reset-confirm"),
    call("password/change/", views.PasswordChangeView, "password-change"),
    call("user/", views.UserView, "user"),
]
