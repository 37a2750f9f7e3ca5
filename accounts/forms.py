"""The forms of the admin: make or invite a person, choose roles."""

from typing import Any

from django.contrib.auth.forms import UsernameField
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.forms import ModelChoiceField, ModelForm, ModelMultipleChoiceField
from django.utils.translation import gettext_lazy as _
from unfold.forms import UserCreationForm

from accounts.invitations import why_not_invited
from accounts.models import Invitation, User
from accounts.roles import description_of


class NewUserForm(UserCreationForm):
    """A person without any rights yet; the next page gives them."""

    class Meta:
        model = User
        fields = ("username", "email", "first_name", "last_name")
        field_classes = {"username": UsernameField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["usable_password"].help_text = _("Disabled: nobody can log in as this person.")


class RoleLabels:
    """Roles with what they are for."""

    def label_from_instance(self, obj: Group) -> str:
        description = description_of(obj.name)
        return f"{obj.name}: {description}" if description else obj.name


class RolesField(RoleLabels, ModelMultipleChoiceField):  # type: ignore[type-arg]
    pass


class RoleField(RoleLabels, ModelChoiceField):  # type: ignore[type-arg]
    pass


class InvitationForm(ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Invitation
        fields = ("email", "role")

    def clean_email(self) -> str:
        address = User.objects.normalize_email(self.cleaned_data["email"])
        if reason := why_not_invited(address):
            raise ValidationError(reason)
        return address
