"""The calls about accounts. Each is open to everybody or needs a token; none needs a further permission."""

from collections.abc import Sequence
from typing import Any, cast

from dj_rest_auth import views as stock
from dj_rest_auth.utils import jwt_encode
from django.conf import settings
from django.contrib.auth.models import update_last_login
from drf_spectacular.utils import extend_schema_view
from rest_framework import generics
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from accounts.addresses import confirm_address
from accounts.api import serializers
from accounts.api.schema import JSON, PASSWORD, PERSON, TOKENS, Answer, documented
from accounts.history import note_login
from accounts.limits import MAILS_FROM, MAILS_TO, SIGNUP, same_name
from accounts.mails import request_mail
from accounts.models import Scope, User
from accounts.second_factor import challenge_for, has_second_factor
from accounts.sessions import SessionAccessToken, SessionAuthentication

PERSON_ANSWER = {200: Answer(serializers.PersonSerializer, PERSON)}
NEW_PASSWORDS = {"new_password1": "a better horse battery", "new_password2": "a better horse battery"}
NAMES = {name: text for name, text in PERSON.items() if name != "pk"}
CONFIRMED = "The address is confirmed."
ON_ITS_WAY = "If an account needs it, an e-mail to this address is on its way."
CODE_WANTED = "This account has a second factor. Send a code with this challenge to /login/second-factor/."
CHALLENGE = {"detail": CODE_WANTED, "challenge": "WyIwZjliOGY0ZS…"}
LOGGED_OUT = "You are logged out."
LOGGED_IN = {**TOKENS, "user": PERSON, "token": TOKENS["access"], "username": PERSON["username"]}
SAID = {"detail": LOGGED_OUT, "message": LOGGED_OUT}
MAY_LOG_IN = "You may log in."
ADDRESS = {"email": PERSON["email"]}


def detail_answer(sentence: str) -> dict[int, Answer]:
    return {200: Answer(serializers.DetailSerializer, {"detail": sentence})}


class OpenToStrangers:
    """Ignores tokens: an expired one must not keep anybody from getting a new one."""

    authentication_classes: Sequence[type[BaseAuthentication]] = ()
    permission_classes: Sequence[Any] = (AllowAny,)

    def get_authenticate_header(self, request: Request) -> str:
        return str(SessionAuthentication().authenticate_header(request))


class SignupView(OpenToStrangers, generics.CreateAPIView[User]):
    """Create an account. It gets no special rights."""

    serializer_class = serializers.SignupSerializer
    limit = SIGNUP

    @documented(
        "accounts",
        "signup",
        {201: Answer(serializers.SignupSerializer, {**NAMES, "detail": MAY_LOG_IN, "message": MAY_LOG_IN})},
        errors=[400, 403, 429],
        sent={**NAMES, "password": PASSWORD},
    )
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        if not settings.ACCOUNT_SIGNUP_OPEN:
            raise PermissionDenied("Sign-up is closed. Ask the people who run this site for an account.")
        return super().post(request, *args, **kwargs)


class VerifyEmailView(OpenToStrangers, generics.GenericAPIView[Any]):
    """Confirm an e-mail address with the key from the e-mail."""

    serializer_class = serializers.ConfirmationSerializer

    @documented("accounts", "verify_email", detail_answer(CONFIRMED), errors=[400], sent={"key": "MQ:1xV5D7:…"})
    def post(self, request: Request) -> Response:
        if not confirm_address(validated_body(self, request)["key"].email_address):
            raise ValidationError({"key": [serializers.INVALID_KEY]})
        return Response({"detail": CONFIRMED})


class MailView(OpenToStrangers, generics.GenericAPIView[Any]):
    """Have a mail sent to an address if an account needs it. The answer and its time are the same if not."""

    serializer_class = serializers.AddressSerializer
    limit = MAILS_FROM
    mail: str

    def post(self, request: Request) -> Response:
        address = validated_body(self, request)["email"]
        MAILS_TO.take(self.mail, same_name(address))
        request_mail(self.mail, address)
        return Response({"detail": ON_ITS_WAY})


@extend_schema_view(
    post=documented("accounts", "resend_email", detail_answer(ON_ITS_WAY), errors=[400, 429, 503], sent=ADDRESS)
)
class ResendEmailView(MailView):
    """Send the confirmation e-mail of a new account again."""

    mail = "confirm_address"


@extend_schema_view(
    post=documented("accounts", "password_reset", detail_answer(ON_ITS_WAY), errors=[400, 429, 503], sent=ADDRESS)
)
class PasswordResetView(MailView):
    """Send an e-mail that says how to set a new password."""

    mail = "password_reset"


@extend_schema_view(
    post=documented(
        "accounts",
        "password_reset_confirm",
        detail_answer("Password has been reset with the new password."),
        errors=[400],
        sent={"uid": PERSON["pk"], "token": "dignwd-e9dd14454f14…", **NEW_PASSWORDS},
    )
)
class PasswordResetConfirmView(OpenToStrangers, stock.PasswordResetConfirmView):
    """Set a new password with the data from the e-mail. Every login with the old password ends."""

    serializer_class = serializers.PasswordResetConfirmSerializer


@extend_schema_view(
    post=documented(
        "accounts",
        "password_change",
        detail_answer("New password has been saved."),
        errors=[400, 429],
        sent={"old_password": PASSWORD, **NEW_PASSWORDS},
    )
)
class PasswordChangeView(stock.PasswordChangeView):
    """Set a new password; the old one is needed. Every login ends, this one too."""

    serializer_class = serializers.PasswordChangeSerializer


class TokenView(OpenToStrangers, stock.LoginView):
    """Every way to a new pair of tokens ends here."""

    def give_tokens(self, person: User, *ways: str) -> Response:
        serializers.refuse_overdue(person, self.request)
        self.user = person
        self.access_token, self.refresh_token = jwt_encode(person)
        update_last_login(User, person)
        note_login(self.request, person, ways, to="api")
        answer: Response = self.get_response()
        return answer


class LoginView(TokenView):
    """Log in with JSON or a form, and get a pair of tokens. Every refusal reads the same: wrong, unknown, inactive.

    An account with a second factor gets 202 with a `challenge` instead: send it with a code to `/login/second-factor/`.
    """

    serializer_class = serializers.LoginSerializer
    parser_classes = (*api_settings.DEFAULT_PARSER_CLASSES, FormParser, MultiPartParser)

    @documented(
        "accounts",
        "login",
        {
            200: Answer(serializers.TokensSerializer, LOGGED_IN),
            202: Answer(serializers.ChallengeSerializer, CHALLENGE, "The password is right, and a code is wanted."),
        },
        errors=[400, 401, 403, 429],
        request={JSON: serializers.LoginSerializer},
        sent={"username": PERSON["username"], "password": PASSWORD},
    )
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        person = validated_body(self, request)["user"]
        if has_second_factor(person):
            return Response({"detail": CODE_WANTED, "challenge": challenge_for(person)}, status=202)
        return self.give_tokens(person, "password")


class SecondFactorView(TokenView):
    """The second half of a login: the challenge that `/login/` answered, and a code of the app or a recovery code."""

    serializer_class = serializers.SecondFactorSerializer

    @documented(
        "accounts",
        "login_second_factor",
        {200: Answer(serializers.TokensSerializer, LOGGED_IN)},
        errors=[400, 401, 403, 429],
        sent={"challenge": CHALLENGE["challenge"], "code": "123456"},
    )
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        given = validated_body(self, request)
        return self.give_tokens(given["user"], "password", given["factor"])


class RefreshView(OpenToStrangers, generics.GenericAPIView[Any]):
    """Get the next pair of tokens. A refresh token works once: using it a second time ends the login."""

    serializer_class = serializers.RefreshSerializer

    @documented(
        "accounts",
        "token_refresh",
        {200: Answer(serializers.RefreshSerializer, TOKENS)},
        errors=[400, 401],
        sent={"refresh": TOKENS["refresh"]},
    )
    def post(self, request: Request) -> Response:
        return Response(validated_body(self, request))


class LogoutView(APIView):
    """End this login: its access and refresh tokens no longer work."""

    @documented("accounts", "logout", {200: Answer(serializers.MessageSerializer, SAID)})
    def post(self, request: Request) -> Response:
        cast("SessionAccessToken", request.auth).session.end()
        return Response(SAID)


@extend_schema_view(
    get=documented("accounts", "user", PERSON_ANSWER),
    patch=documented("accounts", "user_change", PERSON_ANSWER, errors=[400], sent={"first_name": "Dora"}),
)
class UserView(stock.UserDetailsView):
    """Your username, e-mail address and names."""

    serializer_class = serializers.PersonSerializer
    http_method_names = ["get", "patch", "head", "options"]


class AuthProtectedCheckView(APIView):
    """Whether the token is valid, and whose it is."""

    key_scopes = tuple(Scope)

    @documented(
        "accounts",
        "auth_protected_check",
        {200: Answer(serializers.CheckSerializer, {**PERSON, "message": serializers.TOKEN_IS_VALID})},
    )
    def get(self, request: Request) -> Response:
        return Response(serializers.CheckSerializer(cast("User", request.user)).data)


def validated_body(view: generics.GenericAPIView[Any], request: Request) -> Any:
    serializer: BaseSerializer[Any] = view.get_serializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data
