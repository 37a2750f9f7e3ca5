"""What the calls about accounts take and answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, ClassVar

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailConfirmationHMAC
from dj_rest_auth.serializers import PasswordChangeSerializer as StockPasswordChangeSerializer
from django.contrib.auth import authenticate
from django.contrib.auth.forms import SetPasswordForm
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import models
from django.urls import reverse
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError

from accounts.addresses import is_unconfirmed
from accounts.history import note_refusal
from accounts.limits import OLD_PASSWORD, give_back
from accounts.models import User
from accounts.passwords import reset_password, save_password
from accounts.second_factor import challenged_person, is_overdue, use_code
from accounts.sessions import SessionRefreshToken
from accounts.signup import TakenMeanwhile, check_signup, must_confirm, refuse_taken_name, sign_up
from notifications.rendering import public_url

PASSWORD_CHARS = 128
HIDDEN = {"input_type": "password"}
NOT_LOGGED_IN = (
    "The username, e-mail address or password is wrong, or this account is not confirmed or no longer active."
)
NO_CHALLENGE = "The challenge is not valid, or more than five minutes old. Log in again."
WRONG_CODE = "The code is wrong, or was used before."
TOKEN_IS_VALID = "The token is valid."  # noqa: S105
INVALID_KEY = "The key is not valid, or no longer. Ask for a new e-mail."
INVALID_RESET = "This e-mail is not valid, or no longer. Ask for a new one."


class Text(serializers.CharField):
    """Text and nothing else. The package's field takes numbers too, which the schema does not allow."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Address(Text, serializers.EmailField):
    pass


class ModelSerializer(serializers.ModelSerializer[User]):
    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: Text,
        models.EmailField: Address,
    }


class Password(Text):
    """As it is typed, spaces included."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": PASSWORD_CHARS, "trim_whitespace": False, "style": HIDDEN, **options})


class DetailSerializer(serializers.Serializer[Any]):
    detail = serializers.CharField(read_only=True)


class MessageSerializer(serializers.Serializer[Any]):
    """A sentence, under both of the names that clients look for."""

    detail = serializers.CharField(read_only=True)
    message = serializers.CharField(read_only=True)


class PersonSerializer(ModelSerializer):
    """What a person can read about themselves, and change. Nothing else can be read or written."""

    class Meta:
        model = User
        fields = ("pk", "username", "email", "first_name", "last_name")
        read_only_fields = ("email",)  # a new one would have to be confirmed first

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        changed = copy(self.instance)
        assert isinstance(changed, User)  # noqa: S101  # this serializer creates nobody
        changed.username = attrs.get("username", changed.username)
        changed.validate_constraints()
        return attrs

    def update(self, instance: User, validated_data: dict[str, Any]) -> User:
        for name, value in validated_data.items():
            setattr(instance, name, value)
        with say_taken(), refuse_taken_name():
            instance.save(update_fields=[*validated_data])
        return instance


class CheckSerializer(PersonSerializer):
    """Whose token it is."""

    message = serializers.SerializerMethodField()

    class Meta(PersonSerializer.Meta):
        fields = (*PersonSerializer.Meta.fields, "message")  # type: ignore[assignment]  # one more

    def get_message(self, _person: User) -> str:
        return TOKEN_IS_VALID


class TokensSerializer(serializers.Serializer[Any]):
    """The tokens of a login."""

    access = serializers.CharField(help_text="Send it in the header `Authorization`. It is valid for 15 minutes.")
    refresh = serializers.CharField(help_text="Send it to `/token/refresh/` for the next pair, once within seven days.")
    user = PersonSerializer()
    token = serializers.CharField(source="access", help_text="The same as `access`.")
    username = serializers.CharField(source="user.username")


class SignupSerializer(ModelSerializer):
    """A new account without any rights. If addresses must be confirmed, a known address is accepted like any other."""

    password = Password(write_only=True)
    detail = serializers.SerializerMethodField(help_text="What to do next.")
    message = serializers.SerializerMethodField("get_detail", help_text="The same as `detail`.")

    class Meta:
        model = User
        fields = ("username", "email", "password", "first_name", "last_name", "detail", "message")
        # The constraints of the model say whether it is taken: they know whose address it is.
        extra_kwargs: ClassVar = {"username": {"validators": [User.username_validator]}}

    def get_detail(self, _person: User) -> str:
        if must_confirm():
            return "We have sent you an e-mail to confirm your address. Confirm it before you log in."
        return "You may log in."

    def validate_email(self, address: str) -> str:
        return User.objects.normalize_email(address)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        check_signup(**attrs)
        return attrs

    def create(self, validated_data: dict[str, Any]) -> User:
        with say_taken():
            return sign_up(**validated_data)


class LoginSerializer(serializers.Serializer[Any]):
    """A username or an e-mail address, in either field and any case, and a password."""

    username = Text(max_length=254, required=False, allow_blank=True, help_text="Give this or the email.")
    email = Text(max_length=254, required=False, allow_blank=True)
    password = Password(max_length=4096, write_only=True)  # the admin has no limit

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        name = attrs.get("username") or attrs.get("email")
        if not name:
            raise serializers.ValidationError("Give a username or an e-mail address, and a password.")
        user = authenticate(self.context["request"], username=name, password=attrs["password"])
        if user is None:
            raise AuthenticationFailed(NOT_LOGGED_IN)
        if must_confirm() and is_unconfirmed(user):
            note_refusal("unconfirmed", user, self.context["request"])
            raise AuthenticationFailed(NOT_LOGGED_IN)
        return {"user": user}


class ChallengeSerializer(serializers.Serializer[Any]):
    """The account has a second factor: the password was right, and a code is wanted."""

    detail = serializers.CharField(read_only=True)
    challenge = serializers.CharField(read_only=True, help_text="Send it with a code, within five minutes.")


class SecondFactorSerializer(serializers.Serializer[Any]):
    """The challenge of `/login/`, and a code of the app or a recovery code."""

    challenge = Text(max_length=1000, write_only=True)
    code = Text(max_length=40, write_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        person = challenged_person(attrs["challenge"])
        if person is None:
            raise AuthenticationFailed(NO_CHALLENGE)
        factor = use_code(person, attrs["code"], self.context["request"])
        if factor is None:
            raise AuthenticationFailed(WRONG_CODE)
        return {"user": person, "factor": factor.type}


class RefreshSerializer(serializers.Serializer[Any]):
    """A refresh token for the next pair. It works once."""

    refresh = Text(max_length=4096)
    access = serializers.CharField(read_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        try:
            token = SessionRefreshToken(attrs["refresh"])
            refuse_overdue(token.session.user)
            token.rotate()
        except TokenError as error:
            raise InvalidToken(str(error)) from error
        return {"access": str(token.access_token), "refresh": str(token)}


class AddressSerializer(serializers.Serializer[Any]):
    email = Address(max_length=254)

    def validate_email(self, address: str) -> str:
        return User.objects.normalize_email(address)


class ConfirmationSerializer(serializers.Serializer[Any]):
    """The key from the e-mail."""

    key = Text(max_length=500, write_only=True)

    def validate_key(self, key: str) -> EmailConfirmationHMAC:
        confirmation = EmailConfirmationHMAC.from_key(key)
        if confirmation is None:
            raise serializers.ValidationError(INVALID_KEY)
        return confirmation


class PasswordResetConfirmSerializer(serializers.Serializer[Any]):
    """The data from the e-mail, and a new password. Reading the e-mail confirms the address."""

    uid = Text(max_length=100)
    token = Text(max_length=100)
    new_password1 = Password()
    new_password2 = Password()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            person = User.objects.filter(pk=attrs["uid"], is_active=True).first()
        except DjangoValidationError:  # no id at all
            person = None
        # The same answer and the same work for an id that is nobody's: strangers learn no ids.
        is_valid = default_token_generator.check_token(person or User(), attrs["token"])
        if person is None or not is_valid:
            raise serializers.ValidationError({"token": [INVALID_RESET]})
        form = SetPasswordForm(person, attrs)
        if not form.is_valid():
            raise DjangoValidationError(form.errors.as_data())
        return {"form": form}

    def save(self, **_: Any) -> None:
        form = self.validated_data["form"]
        reset_password(form.user, form.cleaned_data["new_password1"], self.context["request"])


class PasswordChangeSerializer(StockPasswordChangeSerializer):
    """Tries of the old password are limited as at login: somebody may have found a token."""

    old_password = Password(max_length=4096)
    new_password1 = Password()
    new_password2 = Password()

    def validate_old_password(self, value: str) -> str:
        one = OLD_PASSWORD.take(self.user.pk)
        value = super().validate_old_password(value)
        give_back(one)
        return value

    def save(self) -> None:
        form = self.set_password_form
        save_password(form.user, form.cleaned_data["new_password1"])


def refuse_overdue(person: User, request: Any = None) -> None:
    """Refuse tokens to somebody whose rights need a second factor, and whose days of grace are over."""
    if is_overdue(person):
        note_refusal("no_second_factor", person, request)
        page = public_url(reverse("mfa_index"))
        raise PermissionDenied(f"Your rights need a second factor. Set one up at {page}, then log in again.")


@contextmanager
def say_taken() -> Iterator[None]:
    try:
        yield
    except TakenMeanwhile as error:
        raise serializers.ValidationError(str(error)) from error
