"""Logging in by OpenID Connect: the way to the provider and back, and who comes in by it.

allauth has the steps of the protocol. Here are the checks that it leaves out (the nonce, the signature, one person in
both answers), the rules about people, and a sentence for each thing that goes wrong.
"""

import logging
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

import jwt
import requests
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.internal import statekit
from allauth.socialaccount.models import SocialAccount, SocialApp
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from accounts.addresses import is_unconfirmed, trust_address
from accounts.delegation import match_staff
from accounts.invitations import InvitationRefused, accept_found, invitation_to
from accounts.models import User
from accounts.provider import is_of_provider
from accounts.signup import TakenMeanwhile, refuse_taken_name
from events.log import log_event
from notifications.rendering import public_url

log = logging.getLogger(__name__)

CLOCKS_DIFFER_SECONDS = 60
FRESH_SECONDS = 300  # how long ago somebody may have typed their password there, where that is asked for
SIGNATURES = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
GOOGLE, MICROSOFT = "https://accounts.google.com", "https://login.microsoftonline.com/"
MAX_NAME_CHARS = 150
MALFORMED = (LookupError, TypeError, ValueError, AttributeError)
ODD_ANSWER = (OAuth2Error, requests.RequestException, jwt.PyJWTError, *MALFORMED)


class OpenIDRefused(Exception):
    """Why somebody does not come in, in a sentence; `person` is whose account it is, where that is sure."""

    def __init__(self, code: str, sentence: str, *, status: int = 403, person: User | None = None) -> None:
        super().__init__(sentence)
        self.code, self.status, self.person = code, status, person


# --- the protocol -------------------------------------------------------------------------------------
class Adapter(OpenIDConnectOAuth2Adapter):
    def __init__(self, request: HttpRequest, provider: "Provider") -> None:
        super().__init__(request, provider.app.provider_id)
        self._provider = provider

    def get_provider(self) -> "Provider":
        return self._provider

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """Never the host that a request names."""
        return public_url(reverse("account_openid_back"))

    def claims(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """What the provider says about the person, in the signed answer and in the one beside it."""
        app = self._provider.app
        client = self.get_client(self.request, app)
        verifier = state.get("pkce_code_verifier")
        answer = self.get_access_token_data(self.request, app, client, pkce_code_verifier=verifier)
        signed = self._signed(answer["id_token"])
        if not constant_time_compare(str(signed.get("nonce")), state["nonce"]):
            raise ValueError("the nonce is another one")
        if state.get("again") and time.time() - signed.get("auth_time", time.time()) > FRESH_SECONDS:
            raise ValueError("nobody typed a password there")
        if "userinfo_endpoint" not in self.openid_config:
            return signed
        beside = self._fetch_user_info(answer["access_token"])
        if beside["sub"] != signed["sub"]:
            raise ValueError("the two answers are about two people")
        if "email" in signed:  # whether it is verified is said by whoever says it
            beside.pop("email_verified", None)
        return {**beside, **signed}

    def _signed(self, id_token: str) -> dict[str, Any]:
        with get_adapter().get_requests_session() as session:
            published = session.get(self.openid_config["jwks_uri"]).json()
        key_id = jwt.get_unverified_header(id_token).get("kid")  # left out by some who publish one key only
        (key,) = [key for key in jwt.PyJWKSet.from_dict(published).keys if key_id in (None, key.key_id)]
        client_id = self._provider.app.client_id
        signed: dict[str, Any] = jwt.decode(
            id_token,
            key.key,
            algorithms=SIGNATURES,
            audience=client_id,
            issuer=[settings.OPENID_SERVER, f"{settings.OPENID_SERVER}/"],
            leeway=CLOCKS_DIFFER_SECONDS,
            options={"require": ["iss", "aud", "exp", "iat", "sub"]},
        )
        if signed.get("azp", client_id) != client_id:
            raise ValueError("the token is for another client")
        return signed


class Provider(OpenIDConnectProvider):
    """The provider of the settings: no row of the database makes one."""

    def __init__(self, request: HttpRequest) -> None:
        options = {"server_url": settings.OPENID_SERVER, "scope": settings.OPENID_SCOPE, "oauth_pkce_enabled": True}
        app = SocialApp(
            provider=self.id,
            provider_id=settings.OPENID_SERVER,
            name=settings.OPENID_NAME,
            client_id=settings.OPENID_CLIENT_ID,
            secret=settings.OPENID_CLIENT_SECRET,
            settings=options,
        )
        super().__init__(request, app=app)

    def get_oauth2_adapter(self, request: HttpRequest) -> Adapter:
        return Adapter(request, self)


def go_there(request: HttpRequest, next_url: str | None, *, again: bool) -> HttpResponse:
    """Send the browser to the provider. `again`: somebody who is logged in proves that it is they who sit there."""
    nonce = secrets.token_urlsafe(32)
    asked = {"nonce": nonce, **({"max_age": "0"} if again else {})}
    try:
        answer: HttpResponse = Provider(request).redirect(
            request, AuthProcess.LOGIN, next_url, auth_params=asked, nonce=nonce, again=again
        )
    except ODD_ANSWER as error:
        raise _of_provider(error) from error
    return answer


def come_back(request: HttpRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the browser was sent there with, and what the provider says about the person."""
    provider = Provider(request)
    state = statekit.unstash_state(request, provider_id=provider.sub_id, state_id=request.GET.get("state", ""))
    if request.GET.get("error") == "access_denied":  # which some send without the state
        raise OpenIDRefused("openid_denied", _("%s did not let you in, or you gave up there.") % settings.OPENID_NAME)
    if state is None:
        said = _("This login was begun in another browser, is more than ten minutes old, or was used before.")
        raise OpenIDRefused("openid_stale", said)
    try:
        if "error" in request.GET:
            raise ValueError(f"the provider answered {request.GET['error'][:100]!r}")
        return state, provider.get_oauth2_adapter(request).claims(state)
    except ODD_ANSWER as error:
        raise _of_provider(error) from error


def _of_provider(error: Exception) -> OpenIDRefused:
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        log.error("The OpenID provider does not answer", exc_info=error)
        said = _("%s does not answer at the moment. Try again in some minutes.")
        return OpenIDRefused("openid_unreachable", said % settings.OPENID_NAME, status=503)
    log.error("The OpenID provider's answer was not accepted", exc_info=error)
    said = _("What %s answered was not accepted. Try again; if that does not help, tell the people who run this site.")
    return OpenIDRefused("openid_answer", said % settings.OPENID_NAME, status=502)


# --- people -------------------------------------------------------------------------------------------
def person_of(claims: Mapping[str, Any]) -> User:
    """Whose account the provider's person has: theirs from before, the one with their address, or a new one."""
    address = checked_address(claims)
    try:
        with transaction.atomic():
            linked = SocialAccount.objects.filter(provider=settings.OPENID_SERVER, uid=claims["sub"])
            account = linked.select_related("user").first()
            person = account.user if account else _person_with(address, claims)
            if not person.is_active:
                raise OpenIDRefused("deactivated", _("This account is closed."), person=person)
            give_roles(person, claims)
    except (InvitationRefused, TakenMeanwhile) as error:
        raise OpenIDRefused("openid_taken", _("This account was changed just now. Try again.")) from error
    return person


def checked_address(claims: Mapping[str, Any]) -> str:
    """The person's e-mail address, which the provider has confirmed and may speak for."""
    name = settings.OPENID_NAME
    address = User.objects.normalize_email(str(claims.get("email") or ""))
    try:
        validate_email(address)
    except ValidationError as error:
        said = _("%s did not say your e-mail address. Ask the people who run it.") % name
        raise OpenIDRefused("openid_no_address", said) from error
    if not is_verified(claims):
        said = _("%(name)s has not confirmed that %(address)s is yours. Confirm it there, then log in again.")
        raise OpenIDRefused("openid_unverified", said % {"name": name, "address": address})
    # A private account of Google can have a company's address; only one of Workspace has its domain as a claim.
    is_private = claims["iss"] == GOOGLE and str(claims.get("hd", "")).lower() not in settings.OPENID_DOMAINS
    if is_private or not is_of_provider(address):
        raise OpenIDRefused("openid_foreign", _("%s is not an address whose owners may log in this way.") % address)
    return address


def is_verified(claims: Mapping[str, Any]) -> bool:
    """Microsoft's name for it is another one: anybody can write an address into an account of their own there."""
    if str(claims["iss"]).startswith(MICROSOFT):
        return claims.get("xms_edov") in (True, 1, "1", "true", "True")
    return claims.get("email_verified") is True


def _person_with(address: str, claims: Mapping[str, Any]) -> User:
    person = User.objects.filter(email=address).first()
    if person is None:
        person = _new_person(address, claims)
    elif is_unconfirmed(person):
        # Somebody else may have made it and wait for its owner, so a link here would let both in.
        said = _("An account has your address, and nobody has confirmed it. Set a new password for it, then come back.")
        raise OpenIDRefused("unconfirmed", said, person=person)
    elif SocialAccount.objects.filter(user=person, provider=settings.OPENID_SERVER).exists():
        said = _("%s says that your address was somebody else's before. Ask a superuser to unlink the account.")
        raise OpenIDRefused("openid_other_person", said % settings.OPENID_NAME, person=person)
    with refuse_taken_name():
        SocialAccount.objects.create(user=person, provider=settings.OPENID_SERVER, uid=claims["sub"])
    log_event("openid_linked", by=person)
    return person


def _new_person(address: str, claims: Mapping[str, Any]) -> User:
    """Somebody who was invited, with the role; anybody else of an allowed domain, without any rights."""
    names = {
        "username": username_for(address),
        "first_name": str(claims.get("given_name") or "")[:MAX_NAME_CHARS],
        "last_name": str(claims.get("family_name") or "")[:MAX_NAME_CHARS],
    }
    try:
        if invitation := invitation_to(address):
            return accept_found(invitation, password=None, **names)
        person = User(email=address, **names)
        person.set_unusable_password()
        person.clean_fields()
    except ValidationError as error:
        raise _of_provider(ValueError(str(error))) from error
    with refuse_taken_name():
        person.save()
    trust_address(person)
    log_event("signup", by=person)
    return person


def username_for(address: str) -> str:
    """The address, which nobody else may have as a name; for one that is no name, something like it."""
    if len(address) <= MAX_NAME_CHARS and re.fullmatch(r"[\w.@+-]+", address):
        return address
    return f"{re.sub(r'[^a-z0-9]+', '-', address)[:100]}-{secrets.token_hex(3)}"


def give_roles(person: User, claims: Mapping[str, Any]) -> None:
    """Have exactly those roles of the mapping that the person's groups give. Other roles, and superusers, stay."""
    if not settings.OPENID_GROUPS or person.is_superuser:
        return
    said = claims.get(settings.OPENID_GROUPS_CLAIM) or []
    groups = {said} if isinstance(said, str) else {str(group) for group in said}
    wanted = {role for group, role in settings.OPENID_GROUPS.items() if group in groups}
    held = set(person.groups.filter(name__in=settings.OPENID_GROUPS.values()).values_list("name", flat=True))
    if wanted == held:
        return
    had_role = person.groups.exists()
    person.groups.remove(*Group.objects.filter(name__in=held - wanted))
    person.groups.add(*Group.objects.filter(name__in=wanted - held))
    match_staff(person, had_role=had_role)
    if person.last_login is None:  # days of grace are for people who were here before
        person.second_factor_due = timezone.now()
        person.save(update_fields=["second_factor_due"])
    log_event("openid_roles", by=person, roles=sorted(wanted))


def whom_to_ask(person: User) -> list[User]:
    """Who may give a role to somebody who came in by the provider and has none; nobody for others."""
    if person.is_staff or not SocialAccount.objects.filter(user=person).exists():
        return []
    return list(User.objects.with_perm("accounts.change_user").filter(is_staff=True).order_by("username")[:3])
