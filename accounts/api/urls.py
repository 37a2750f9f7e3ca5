"""Where the calls about accounts are found."""

from django.urls import path

from accounts.api import views

urlpatterns = [
    path("signup/", views.SignupView.as_view(), name="signup"),
    path("signup/verify-email/", views.VerifyEmailView.as_view(), name="verify-email"),
    path("signup/resend-email/", views.ResendEmailView.as_view(), name="resend-email"),
    path("login/", views.LoginView.as_view(), name="login"),
    path("logout/", views.LogoutView.as_view(), name="logout"),
    path("auth-protected-check/", views.AuthProtectedCheckView.as_view(), name="auth-protected-check"),
    path("token/refresh/", views.RefreshView.as_view(), name="token-refresh"),
    path("password/reset/", views.PasswordResetView.as_view(), name="password-reset"),
    path("password/reset/confirm/", views.PasswordResetConfirmView.as_view(), name="password-reset-confirm"),
    path("password/change/", views.PasswordChangeView.as_view(), name="password-change"),
    path("user/", views.UserView.as_view(), name="user"),
]
