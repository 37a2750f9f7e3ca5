"""Where the calls about accounts are found."""

from django.urls import path

from accounts.api import views

urlpatterns = [
    path("auth-protected-check/", views.AuthProtectedCheckView.as_view(), name="auth-protected-check"),
]
