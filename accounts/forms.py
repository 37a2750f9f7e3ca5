"""The forms of the admin: log in, make a person, choose roles."""

from typing import Any, cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.forms import ModelMultipleChoiceField
from django.utils.translation import gettext_lazy as _
from unfold.forms import AuthenticationForm, UserCreationForm

from accounts.backends import log_refusal
from accounts.limits import NotCounted, TooManyTries
from accounts.models import User
from accounts.roles import description_of


class LoginForm(AuthenticationForm):
    """Says what may be typed, and gives the same sentence for every refusal."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": _("The username, e-mail address or password is wrong, or this account may not log in here."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        username = self.fields["username"]
        username.label = _("Username or e-mail address")
        username.widget.attrs["maxlength"] = User._meta.get_field("email").max_length
        self.refused: TooManyTries | NotCounted | None = None  # before the password was looked at

    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        try:
            super().confirm_login_allowed(user)
        except ValidationError:
            log_refusal("not_staff", cast("User", user))
            raise

    def clean(self) -> dict[str, Any]:
        try:
            return dict(super().clean())
        except (TooManyTries, NotCounted) as error:
            self.refused = error
            raise ValidationError(str(error.detail), code=error.default_code) from error


class NewUserForm(UserCreationForm):
    """A person without any rights yet; the next page gives them."""

    class Meta:
        model = User
        fields = ("username", "email", "first_name", "last_name")
        field_classes = {"username": UsernameField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["usable_password"].help_text = _("Disabled: nobody can log in as this person.")


class RolesField(ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Roles with what they are for."""

    def label_from_instance(self, obj: Group) -> str:
        description = description_of(obj.name)
        return f"{obj.name}: {description}" if description else obj.name
