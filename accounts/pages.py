"""The pages about one's own account. Each is open to everybody or to whoever is logged in; none needs a permission."""

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from allauth.account import views as stock
from allauth.account.internal.flows.login import get_authentication_records, perform_login, record_authentication
from allauth.account.internal.flows.reauthentication import (
    get_reauthentication_flows,
    raise_if_reauthentication_required,
)
from allauth.account.models import Login
from allauth.account.utils import get_next_redirect_url
from allauth.account.views import INTERNAL_RESET_SESSION_KEY
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.base import views as second_factor_views
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse, reverse_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts.addresses import forget_change, request_change, waiting_address
from accounts.forms import KeyForm
from accounts.history import history_of, note_refusal
from accounts.invitations import invitation_of
from accounts.keys import make_key, revoke_keys
from accounts.limits import LOGIN_ADDRESS, MAILS_FROM, MAILS_TO, OPENID, SIGNUP, Limit, address_of
from accounts.models import ApiKey, LoginSession, User
from accounts.openid import FRESH_SECONDS, OpenIDRefused, come_back, go_there, person_of, whom_to_ask
from accounts.page_forms import InvitedForm, LoginForm, NewAddressForm, ResetPasswordForm, SignupForm
from accounts.provider import instead_of_password, is_configured, is_linked, is_of_provider, may_use_password
from accounts.roles import description_of
from accounts.signup import must_confirm

log = logging.getLogger(__name__)

View = Callable[..., HttpResponse]


def limited(limit: Limit, view: View) -> View:
    """Count what is sent from each address, as the API counts its calls."""

    @wraps(view)
    def counted(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST":
            limit.take(address_of(request))
        return view(request, *args, **kwargs)

    return counted


def checked_passkey(view: View) -> View:
    """Say that a passkey was not accepted where its answer is so odd that allauth raises instead."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except (AttributeError, LookupError, TypeError, ValueError, ValidationError) as error:
            if "credential" not in request.POST:
                raise
            log.warning("A passkey's answer could not be read", exc_info=error)
            messages.error(request, _("The passkey was not accepted."))
            return redirect(request.path)

    return checked


# --- coming in ----------------------------------------------------------------------------------------
class LoginView(stock.LoginView):
    """Status 429 after too many tries, and 503 while tries cannot be counted."""

    def form_invalid(self, form: LoginForm) -> HttpResponse:
        answer: HttpResponse = super().form_invalid(form)
        if form.refused:
            answer.status_code = form.refused.status_code
            answer["Retry-After"] = str(form.refused.wait)
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        return {**context, "is_signup_open": settings.ACCOUNT_SIGNUP_OPEN, "openid": openid_link(self.request)}


def openid_link(request: HttpRequest) -> dict[str, str]:
    """The provider's name and where its button leads; empty without one."""
    if not is_configured():
        return {}
    next_url = get_next_redirect_url(request)
    address = reverse("account_openid") + (f"?{urlencode({'next': next_url})}" if next_url else "")
    return {"name": settings.OPENID_NAME, "address": address}


@never_cache
@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up_here(request: HttpRequest) -> HttpResponse:
    """Make an account without rights, unless that is left to staff."""
    if request.user.is_authenticated:
        return redirect("account_home")
    if not settings.ACCOUNT_SIGNUP_OPEN:
        return render(request, "account/signup_closed.html", status=403)
    form = SignupForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and form.save():
        if must_confirm():
            return redirect("account_email_verification_sent")
        messages.success(request, _("Your account is made. Log in."))
        return redirect("account_login")
    return render(request, "account/signup.html", {"form": form})


@never_cache
@sensitive_post_parameters("password1", "password2")
@require_http_methods(["GET", "HEAD", "POST"])
def accept_invitation(request: HttpRequest) -> HttpResponse:
    """The link of an invitation: whoever was invited chooses a name and a password, and is in."""
    key = request.GET.get("key", "")
    invitation = invitation_of(key)
    if invitation is None:
        return render(request, "account/invitation.html", status=404)
    if request.user.is_authenticated:
        return render(request, "account/invitation.html", {"invitation": invitation, "is_somebody": True})
    form = InvitedForm(request.POST or None)
    needs_provider = bool(instead_of_password(invitation.email))
    if request.method == "POST" and not needs_provider and form.is_valid() and (person := form.save(key)):
        record_authentication(request, person, method="password", reauthenticated=True)
        return cast(HttpResponse, perform_login(request, Login(user=person)))
    context = {"form": form, "invitation": invitation, "about": description_of(invitation.role.name)}
    if is_of_provider(invitation.email):
        context |= {"openid": openid_link(request), "needs_provider": needs_provider}
    return render(request, "account/invitation.html", context)


# --- by OpenID Connect --------------------------------------------------------------------------------
def where_provided(view: View) -> View:
    """There is no such address without a provider; what goes wrong with it is said on a page."""

    @wraps(view)
    def answered(request: HttpRequest) -> HttpResponse:
        if not is_configured():
            raise Http404
        try:
            return view(request)
        except OpenIDRefused as error:
            note_refusal(error.code, error.person, request if error.person else None)
            context = {"sentence": str(error), "is_unconfirmed": error.code == "unconfirmed"}
            return render(request, "account/openid_refused.html", context, status=error.status)

    return never_cache(require_safe(answered))


@where_provided
def go_to_provider(request: HttpRequest) -> HttpResponse:
    """Somebody who is logged in goes there again only to prove that it is they who sit there."""
    again = request.user.is_authenticated and "again" in request.GET
    next_url = get_next_redirect_url(request)
    if request.user.is_authenticated and not again:
        return redirect(next_url or "account_home")
    OPENID.take(address_of(request))
    return go_there(request, next_url, again=again)


@where_provided
def come_back_from_provider(request: HttpRequest) -> HttpResponse:
    """Log in whom the provider names. A second factor is asked for as after a password."""
    state, claims = come_back(request)
    person = person_of(claims)
    again = bool(state.get("again"))
    if request.user.is_authenticated:
        if person != request.user:
            said = _("You are logged in as %s, and came back as somebody else. Log out first.")
            raise OpenIDRefused("openid_other_account", said % request.user)
        record_authentication(request, person, method="openid", reauthenticated=again)
        return redirect(state.get("next") or "account_home")
    record_authentication(request, person, method="openid", reauthenticated=again)
    return cast(HttpResponse, perform_login(request, Login(user=person, redirect_url=state.get("next"))))


def asked_again(view: View) -> View:
    """Let somebody without password and second factor log in at the provider once more: an open browser is not enough.

    allauth asks all others, and lets these pass.
    """

    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        person = request.user
        if person.is_authenticated and is_configured() and not get_reauthentication_flows(person) and is_linked(person):
            steps = [step for step in get_authentication_records(request, person) if step.get("reauthenticated")]
            if not steps or time.time() - steps[-1]["at"] > FRESH_SECONDS:
                query = {"again": "", "next": request.path}
                return redirect(f"{reverse('account_openid')}?{urlencode(query)}")
        return view(request, *args, **kwargs)

    return asked


def with_password(view: View) -> View:
    """Lead home whoever has no use for a password."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated and not may_use_password(request.user):
            messages.info(request, _("You log in with %s, without a password here.") % settings.OPENID_NAME)
            return redirect("account_home")
        return view(request, *args, **kwargs)

    return checked


# --- links of mails -----------------------------------------------------------------------------------
@never_cache
def open_reset_link(request: HttpRequest) -> HttpResponse:
    """The link of a mail: keeps its key out of the address of the page that follows, and out of every log."""
    request.session[INTERNAL_RESET_SESSION_KEY] = request.GET.get("key", "")
    page = stock.PasswordResetFromKeyView.reset_url_key
    try:
        return redirect("account_reset_password_from_key", uidb36=request.GET.get("uid", ""), key=page)
    except NoReverseMatch:  # no id at all
        return redirect("account_reset_password_from_key", uidb36="0", key=page)


class ResetPasswordView(stock.PasswordResetFromKeyView):
    success_url = reverse_lazy("account_login")

    def form_valid(self, form: ResetPasswordForm) -> HttpResponse:
        form.save_for(self.request)
        messages.success(self.request, _("Your password is set. Log in."))
        return redirect(self.get_success_url())


class ConfirmAddressView(stock.ConfirmEmailView):
    """The key is in the query, which no log has."""

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.kwargs["key"] = request.GET.get("key", "")

    def post(self, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            answer: HttpResponse = super().post(*args, **kwargs)
        except stock.Http404:  # used meanwhile, or too old
            return cast(HttpResponse, self.get(*args, **kwargs))
        return answer


# --- one's own account --------------------------------------------------------------------------------
@login_required
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "account/home.html", {"whom_to_ask": whom_to_ask(cast(User, request.user))})


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def change_address(request: HttpRequest) -> HttpResponse:
    """Change one's address: the new one has to be confirmed, and the old one is told."""
    person = cast(User, request.user)
    form = NewAddressForm(request.POST if "email" in request.POST else None, person=person)
    if request.method == "POST":
        raise_if_reauthentication_required(request, app="allauth.account")
        if "forget" in request.POST:
            forget_change(person)
            messages.success(request, _("Your address stays as it is."))
            return redirect("account_email")
        if form.is_valid():
            MAILS_TO.take("confirm_new_address", form.cleaned_data["email"])
            request_change(person, form.cleaned_data["email"])
            messages.success(request, _("We have sent you an e-mail to confirm your new address."))
            return redirect("account_email")
    context = {"form": form, "waiting": waiting_address(person)}
    return render(request, "account/email_change.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def my_sessions(request: HttpRequest) -> HttpResponse:
    """Where one is logged in, in browsers and through the API; each login can be ended."""
    person = cast(User, request.user)
    browsers = UserSession.objects.purge_and_list(person)
    programs = LoginSession.objects.filter(user=person, ended_at=None)
    if request.method == "POST":
        chosen = request.POST.get("end", "")
        here = [session for session in browsers if session.is_current()]
        others = [session for session in browsers if session not in here]
        ended = others if chosen == "others" else [session for session in browsers if str(session.pk) == chosen]
        for session in ended:
            session.end()
        for login in programs if chosen == "others" else programs.filter(pk__in=uuids_in(chosen)):
            login.end()
        if any(session in here for session in ended):
            logout(request)
            return redirect("account_login")
        done = _("All other logins have ended.") if chosen == "others" else _("The login has ended.")
        messages.success(request, done)
        return redirect("usersessions_list")
    context = {"browsers": sorted(browsers, key=lambda session: session.created_at), "programs": programs}
    return render(request, "usersessions/usersession_list.html", context)


@login_required
@never_cache
def my_history(request: HttpRequest) -> HttpResponse:
    """When, from where and how one logged in, and which tries were refused."""
    lines = Paginator(history_of(cast(User, request.user)), 50).get_page(request.GET.get("page"))
    return render(request, "account/history.html", {"lines": lines})


@asked_again
@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def my_keys(request: HttpRequest) -> HttpResponse:
    """The keys of one's machines: make one, which is shown once, or revoke one."""
    person = cast(User, request.user)
    keys = ApiKey.objects.filter(owner=person, revoked_at=None).select_related("owner")
    form, made = KeyForm(request.POST if "make" in request.POST else None), ""
    if request.method == "POST" and "make" not in request.POST:
        chosen = request.POST.get("revoke", "")
        if revoke_keys(keys.filter(pk=int(chosen) if chosen.isdecimal() and len(chosen) < 18 else 0), by=person):
            messages.success(request, _("The key is revoked. It no longer works."))
        return redirect("account_keys")
    if request.method == "POST":
        raise_if_reauthentication_required(request, app="allauth.account")
        if form.is_valid():
            given = form.cleaned_data
            made = make_key(
                person,
                name=given["name"],
                scopes=given["scopes"],
                feeds=given["feeds"],
                days=int(given["days"]),
                by=person,
            )
            form = KeyForm()
    return render(request, "account/keys.html", {"form": form, "keys": keys, "made": made})


def not_for_staff(request: HttpRequest) -> HttpResponse:
    """Somebody who is not staff wanted to enter the admin: what they may do instead."""
    context = {"is_refused": True, "whom_to_ask": whom_to_ask(cast(User, request.user))}
    return render(request, "account/home.html", context, status=403)


def uuids_in(text: str) -> list[Any]:
    try:
        return [UUID(text)]
    except ValueError:
        return []


class RemovePasskeyView(passkeys.RemoveWebAuthnView):
    """As allauth's, but that the last factor of somebody who needs one stays."""

    def form_valid(self, form: Any) -> HttpResponse:
        if not get_mfa_adapter().can_delete_authenticator(self.object):
            messages.error(self.request, get_mfa_adapter().error_messages["cannot_delete_authenticator"])
            return redirect("mfa_list_webauthn")
        return cast(HttpResponse, super().form_valid(form))


# --- the addresses' views -----------------------------------------------------------------------------
log_in = LoginView.as_view()
log_in_by_passkey = limited(LOGIN_ADDRESS, checked_passkey(passkeys.login_webauthn))
second_factor = checked_passkey(second_factor_views.authenticate)
add_passkey = asked_again(checked_passkey(passkeys.add_webauthn))
activate_totp = asked_again(totp.activate_totp)
change_password = with_password(stock.password_change)
set_password = with_password(asked_again(stock.password_set))
passkey_again = checked_passkey(passkeys.reauthenticate_webauthn)
remove_passkey = RemovePasskeyView.as_view()
sign_up = limited(SIGNUP, sign_up_here)
invitation = limited(SIGNUP, accept_invitation)
forgot_password = limited(MAILS_FROM, stock.password_reset)
reset_password = never_cache(ResetPasswordView.as_view())
confirm_address = never_cache(ConfirmAddressView.as_view())
change_own_address = asked_again(limited(MAILS_FROM, change_address))


def admin_login(request: HttpRequest) -> HttpResponse:
    """The admin's own login leads to everybody's."""
    if request.user.is_authenticated:
        return redirect("admin:index") if request.user.is_staff else not_for_staff(request)
    query = request.GET.urlencode()
    return redirect(f"{reverse('account_login')}?{query}" if query else reverse("account_login"))
