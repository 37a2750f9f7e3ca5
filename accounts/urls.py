"""The addresses of the pages about one's own account, under /accounts/. Their names are allauth's where it has one."""

from allauth.account import views as stock
from allauth.mfa.base import views as second_factor
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from django.urls import path, re_path

from accounts import pages

urlpatterns = [
    path("", pages.home, name="account_home"),
    path("login/", pages.log_in, name="account_login"),
    path("logout/", stock.logout, name="account_logout"),
    path("inactive/", stock.account_inactive, name="account_inactive"),
    path("openid/", pages.go_to_provider, name="account_openid"),
    path("openid/back/", pages.come_back_from_provider, name="account_openid_back"),
    path("signup/", pages.sign_up, name="account_signup"),
    path("invitation/", pages.invitation, name="account_invitation"),
    path("confirm-email/", stock.email_verification_sent, name="account_email_verification_sent"),
    path("email/confirm/", pages.confirm_address, name="account_confirm_email"),
    path("email/", pages.change_own_address, name="account_email"),
    path("reauthenticate/", stock.reauthenticate, name="account_reauthenticate"),
    path("password/change/", pages.change_password, name="account_change_password"),
    path("password/set/", pages.set_password, name="account_set_password"),
    path("password/reset/", pages.forgot_password, name="account_reset_password"),
    path("password/reset/done/", stock.password_reset_done, name="account_reset_password_done"),
    path("password/new/", pages.open_reset_link, name="account_open_reset_link"),
    re_path(
        r"^password/new/(?P<uidb36>[0-9a-f-]{1,36})/(?P<key>set-password)/$",
        pages.reset_password,
        name="account_reset_password_from_key",
    ),
    path("second-factor/", second_factor.index, name="mfa_index"),
    path("second-factor/code/", pages.second_factor, name="mfa_authenticate"),
    path("second-factor/code/again/", second_factor.reauthenticate, name="mfa_reauthenticate"),
    path("second-factor/app/", pages.activate_totp, name="mfa_activate_totp"),
    path("second-factor/app/remove/", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("second-factor/recovery-codes/", recovery_codes.view_recovery_codes, name="mfa_view_recovery_codes"),
    path(
        "second-factor/recovery-codes/new/",
        recovery_codes.generate_recovery_codes,
        name="mfa_generate_recovery_codes",
    ),
    path(
        "second-factor/recovery-codes/file/",
        recovery_codes.download_recovery_codes,
        name="mfa_download_recovery_codes",
    ),
    path("second-factor/passkeys/", passkeys.list_webauthn, name="mfa_list_webauthn"),
    path("second-factor/passkeys/add/", pages.add_passkey, name="mfa_add_webauthn"),
    path("second-factor/passkeys/login/", pages.log_in_by_passkey, name="mfa_login_webauthn"),
    path("second-factor/passkeys/again/", pages.passkey_again, name="mfa_reauthenticate_webauthn"),
    path("second-factor/passkeys/<int:pk>/remove/", pages.remove_passkey, name="mfa_remove_webauthn"),
    path("history/", pages.my_history, name="account_history"),
    path("keys/", pages.my_keys, name="account_keys"),
    path("sessions/", pages.my_sessions, name="usersessions_list"),
]
