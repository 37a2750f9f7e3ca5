"""The forms of the pages about one's own account. What they do is done by the same code as in the API."""

from typing import Any

from allauth.account import forms as stock
from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from django import forms
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts.addresses import is_unconfirmed, note_address
from accounts.history import note_refusal
from accounts.invitations import InvitationRefused, accept
from accounts.limits import MAILS_TO, OLD_PASSWORD, NotCounted, TooManyTries, give_back, same_name
from accounts.mails import request_mail
from accounts.models import User
from accounts.passwords import reset_password
from accounts.provider import instead_of_password
from accounts.second_factor import use_code
from accounts.signup import TakenMeanwhile, check_signup, must_confirm, sign_up

PASSWORD_CHARS = 4096
INVALID_LOGIN = _("The username, e-mail address or password is wrong, or this account may not log in here.")


def password_field(label: Any, autocomplete: str = "new-password") -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, widget=widget, strip=False, max_length=PASSWORD_CHARS)


def username_field() -> forms.CharField:
    """For a name that is still to be chosen."""
    widget = forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none"})
    return forms.CharField(label=_("Username"), max_length=150, validators=[User.username_validator], widget=widget)


class LoginForm(forms.Form):
    """Says what may be typed, and gives the same sentence for every refusal."""

    username = forms.CharField(
        label=_("Username or e-mail address"),
        max_length=254,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autofocus": True, "autocapitalize": "none"}),
    )
    password = password_field(_("Password"), "current-password")

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.user: User | None = None
        self.refused: TooManyTries | NotCounted | None = None  # before the password was looked at

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        if sentence := instead_of_password(given["username"]):
            raise ValidationError(sentence, code="no_password")
        try:
            self.user = authenticate(self.request, **given)
        except (TooManyTries, NotCounted) as error:
            self.refused = error
            raise ValidationError(str(error.detail), code=error.default_code) from error
        if self.user is None:
            raise ValidationError(INVALID_LOGIN, code="invalid_login")
        return given

    def login(self, request: HttpRequest, redirect_url: str | None = None) -> HttpResponse:
        assert self.user is not None  # noqa: S101  # the form is valid
        note_address(self.user)
        if must_confirm() and is_unconfirmed(self.user):
            note_refusal("unconfirmed", self.user, request)  # and the page that follows asks them to confirm
        # Whoever has just typed the password is not asked for it again.
        record_authentication(request, self.user, method="password", reauthenticated=True)
        return perform_login(request, Login(user=self.user, redirect_url=redirect_url))  # type: ignore[no-any-return]


class CodeOfFactor:
    """A code, counted and used up by `use_code`, for pages and calls together."""

    def clean_code(self: Any) -> str:
        code = str(self.cleaned_data["code"])
        self.authenticator = use_code(self.user, code, context.request)
        if self.authenticator is None:
            raise get_adapter().validation_error("incorrect_code")
        return code


class CodeForm(CodeOfFactor, AuthenticateForm):
    pass


class CodeAgainForm(CodeOfFactor, ReauthenticateForm):
    pass


class TwoPasswords(forms.Form):
    """A new password, twice. `person` is whose it will be."""

    password1 = password_field(_("New password"))
    password2 = password_field(_("The same password again"))

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("password1") and given.get("password2") and given["password1"] != given["password2"]:
            self.add_error("password2", _("The two passwords are not the same."))
        return given


class SignupForm(TwoPasswords):
    """A new account without any rights."""

    username = username_field()
    email = forms.EmailField(label=_("E-mail address"), max_length=254)
    field_order = ("username", "email", "password1", "password2")

    def clean_email(self) -> str:
        return User.objects.normalize_email(self.cleaned_data["email"])

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if not self.errors:
            try:
                check_signup(given["username"], given["email"], given["password1"])
            except ValidationError as error:
                for field, problems in error.error_dict.items():
                    self.add_error("password1" if field == "password" else field, problems)
        return given

    def save(self) -> bool:
        """Whether there is an account now; somebody may have been quicker."""
        given = self.cleaned_data
        try:
            sign_up(given["username"], given["email"], given["password1"])
        except TakenMeanwhile as error:
            self.add_error(None, str(error))
            return False
        return True


class InvitedForm(TwoPasswords):
    """How somebody who was invited is called, and their password."""

    username = username_field()
    first_name = forms.CharField(label=_("First name"), max_length=150, required=False)
    last_name = forms.CharField(label=_("Last name"), max_length=150, required=False)
    field_order = ("username", "first_name", "last_name", "password1", "password2")

    def save(self, key: str) -> User | None:
        """The new person; None where something is wrong, which the form says."""
        given = self.cleaned_data
        names = {name: given[name] for name in ("username", "first_name", "last_name")}
        try:
            return accept(key, password=given["password1"], **names)
        except ValidationError as error:
            for field, problems in error.error_dict.items():
                named = "password1" if field == "password" else field
                self.add_error(named if named in self.fields else None, problems)
        except (InvitationRefused, TakenMeanwhile) as error:
            self.add_error(None, str(error))
        return None


class ForgottenPasswordForm(forms.Form):
    """Asks for the mail, whoever has the address. Nothing is looked up here, so nothing is told."""

    email = forms.EmailField(label=_("E-mail address"), max_length=254)

    def save(self, request: HttpRequest, **_more: Any) -> str:
        address = User.objects.normalize_email(self.cleaned_data["email"])
        MAILS_TO.take("password_reset", same_name(address))
        request_mail("password_reset", address)
        return address


class UserTokenForm(stock.UserTokenForm):
    """The same answer and the same work for an id that is nobody's: strangers learn no ids."""

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = forms.Form.clean(self) or {}
        try:
            person = User.objects.filter(pk=str(given.get("uidb36")), is_active=True).first()
        except ValidationError:  # no id at all
            person = None
        is_valid = self.token_generator.check_token(person or User(), given.get("key"))
        if person is None or not is_valid:
            raise ValidationError("", code="invalid_password_reset")  # the page has its own words
        self.reset_user = person
        return given


class ResetPasswordForm(stock.ResetPasswordKeyForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name_passwords(self)

    def save_for(self, request: HttpRequest) -> None:
        reset_password(self.user, self.cleaned_data["password1"], request)


class ChangePasswordForm(stock.ChangePasswordForm):
    """Tries of the old password are limited as at login: somebody may have found an open browser."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name_passwords(self)

    def clean_oldpassword(self) -> str:
        one = OLD_PASSWORD.take(self.user.pk)
        if not self.user.check_password(self.cleaned_data["oldpassword"]):
            raise ValidationError(_("This is not your password."), code="incorrect_password")
        give_back(one)
        return str(self.cleaned_data["oldpassword"])


class SetPasswordForm(stock.SetPasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name_passwords(self)


class NewAddressForm(forms.Form):
    """The address to change to. Whether somebody has it is not said: its owner gets a mail."""

    email = forms.EmailField(label=_("New e-mail address"), max_length=254)

    def __init__(self, *args: Any, person: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._person = person

    def clean_email(self) -> str:
        address = User.objects.normalize_email(self.cleaned_data["email"])
        if address == self._person.email:
            raise ValidationError(_("This is your address already."))
        return address


def name_passwords(form: forms.Form) -> None:
    """The labels of one's own pages on allauth's fields."""
    labels = {
        "oldpassword": _("Present password"),
        "password1": _("New password"),
        "password2": _("The same password again"),
    }
    for name, field in form.fields.items():
        field.label = labels.get(name, field.label)
        field.widget.attrs.pop("placeholder", None)
        if isinstance(field, forms.CharField):
            field.max_length = PASSWORD_CHARS
