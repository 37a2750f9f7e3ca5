"""What the calls about accounts take and answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, ClassVar
from uuid import uuid4

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from dj_rest_auth.serializers import PasswordChangeSerializer as StockPasswordChangeSerializer
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import IntegrityError, models, transaction
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError

from accounts.backends import log_refusal
from accounts.limits import OLD_PASSWORD, address_of, give_back
from accounts.mails import request_mail, write_mail
from accounts.models import KnownAddress, User
from accounts.sessions import SessionRefreshToken
from events.log import log_event

PASSWORD_CHARS = 128
HIDDEN = {"input_type": "password"}
NOT_LOGGED_IN = (
    "The username, e-mail address or password is wrong, or this account is not confirmed or no longer active."
)
INVALID_RESET = "This e-mail is not valid, or no longer. Ask for a new one."
TAKEN_MEANWHILE = "Somebody else has just taken this username or e-mail address. Choose another one."


def must_confirm() -> bool:
    """Whether people must confirm their address before they log in."""
    return bool(settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory")


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
        with refuse_taken_name():
            instance.save(update_fields=[*validated_data])
        return instance


class TokensSerializer(serializers.Serializer[Any]):
    """The tokens of a login."""

    access = serializers.CharField(help_text="Send it in the header `Authorization`. It is valid for 15 minutes.")
    refresh = serializers.CharField(help_text="Send it to `/token/refresh/` for the next pair, once within seven days.")
    user = PersonSerializer()


class SignupSerializer(ModelSerializer):
    """A new account without any rights. If addresses must be confirmed, a known address is accepted like any other."""

    password = Password(write_only=True)
    detail = serializers.SerializerMethodField(help_text="What to do next.")

    class Meta:
        model = User
        fields = ("username", "email", "password", "first_name", "last_name", "detail")
        # The constraints of the model say whether it is taken: they know whose address it is.
        extra_kwargs: ClassVar = {"username": {"validators": [User.username_validator]}}

    def get_detail(self, _person: User) -> str:
        if must_confirm():
            return "We have sent you an e-mail to confirm your address. Confirm it before you log in."
        return "You may log in."

    def validate_email(self, address: str) -> str:
        return User.objects.normalize_email(address)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        person = User(**{name: value for name, value in attrs.items() if name != "password"})
        try:
            validate_password(attrs["password"], person)
        except DjangoValidationError as error:
            raise serializers.ValidationError({"password": error.messages}) from error
        try:
            person.validate_constraints()
        except DjangoValidationError as error:
            untold: set[str] = set()
            if must_confirm():  # and nobody may learn that an address is known
                untold = {"email_taken", *(["username_taken"] if "@" in attrs["username"] else [])}
            problems = {
                name: left
                for name, found in error.error_dict.items()
                if (left := [problem for problem in found if problem.code not in untold])
            }
            if problems:
                raise DjangoValidationError(problems) from error
        return attrs

    @transaction.atomic  # there is no account without its mail
    def create(self, validated_data: dict[str, Any]) -> User:
        address = validated_data["email"]
        if must_confirm() and User.objects.filter(email=address).exists():
            # Take the name, and the time, that a new account would: otherwise a second try with the name would show
            # that the address is known. The account that holds the name has no address that exists, and never opens. A
            # name that is the known address needs no account, because it is never said to be taken.
            username, password = validated_data["username"], validated_data.pop("password")
            if "@" in username:
                make_password(password)
            else:
                create_account(username=username, email=f"{uuid4()}@known.invalid", password=password, is_active=False)
            request_mail("already_known", address)
            return User(**validated_data)
        person = create_account(**validated_data)
        log_event("signup", by=person)
        if settings.ACCOUNT_EMAIL_VERIFICATION != "none":
            request_mail("confirm_address", address)
        return person


def create_account(**given: Any) -> User:
    with refuse_taken_name():
        person = User.objects.create_user(**given)
        EmailAddress.objects.create(user=person, email=person.email, primary=True)
    return person


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
        # Only an address that was given at sign-up has such a row; one that staff entered needs no confirmation.
        unconfirmed = EmailAddress.objects.filter(user=user, email=user.email, verified=False)
        if must_confirm() and unconfirmed.exists():
            log_refusal("unconfirmed", user)
            raise AuthenticationFailed(NOT_LOGGED_IN)
        return {"user": user}


class RefreshSerializer(serializers.Serializer[Any]):
    """A refresh token for the next pair. It works once."""

    refresh = Text(max_length=4096)
    access = serializers.CharField(read_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        try:
            token = SessionRefreshToken(attrs["refresh"])
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
            raise serializers.ValidationError("The key is not valid, or no longer. Ask for a new e-mail.")
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
        EmailAddress.objects.filter(user=form.user, email=form.user.email).update(verified=True)
        save_password(form)
        # Who reads the owner's mail is the owner: what strangers try elsewhere locks nobody out here from now on.
        KnownAddress.remember(form.user, address_of(self.context["request"]))


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
        save_password(self.set_password_form)


def save_password(form: "SetPasswordForm[Any]") -> None:
    """Save the password alone, since rights may have changed while it was hashed, and warn the owner."""
    person = form.save(commit=False)
    with transaction.atomic():
        person.save(update_fields=["password"])
        write_mail("password_changed", person)


@contextmanager
def refuse_taken_name() -> Iterator[None]:
    """Refuse the later of two people who take the same name or address at the same time."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise serializers.ValidationError(TAKEN_MEANWHILE) from error
