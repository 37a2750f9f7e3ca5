"""The forms of the admin: make or invite a person, choose roles."""

from typing import Any

from django.contrib.auth.forms import UsernameField
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.forms import (
    CharField,
    CheckboxSelectMultiple,
    ChoiceField,
    Form,
    ModelChoiceField,
    ModelForm,
    ModelMultipleChoiceField,
    MultipleChoiceField,
)
from django.utils.translation import gettext_lazy as _
from unfold.forms import UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from accounts.invitations import why_not_invited
from accounts.keys import feed_choices
from accounts.models import ApiKey, Invitation, Scope, User
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


LIFETIMES = (("30", _("30 days")), ("90", _("90 days")), ("365", _("a year")))


def scopes_field(widget: Any = CheckboxSelectMultiple) -> MultipleChoiceField:
    return MultipleChoiceField(
        label=_("It may"),
        choices=Scope.choices,
        widget=widget,
        help_text=_("And never more than its owner may."),
    )


def feeds_field(widget: Any = CheckboxSelectMultiple) -> MultipleChoiceField:
    return MultipleChoiceField(
        label=_("Only for these feeds"),
        choices=feed_choices,
        widget=widget,
        required=False,
        help_text=_("None chosen: for all feeds. Products can be read whatever is chosen."),
    )


class KeyForm(Form):
    """A key of one's own."""

    name = CharField(label=_("Name"), max_length=100, help_text=ApiKey._meta.get_field("name").help_text)
    scopes = scopes_field()
    feeds = feeds_field()
    days = ChoiceField(label=_("Valid for"), choices=LIFETIMES, initial="90")


class AdminKeyForm(ModelForm):  # type: ignore[type-arg]
    """A key of somebody, who may do no more than the manager who makes it."""

    scopes = scopes_field(UnfoldAdminCheckboxSelectMultipleWidget)
    feeds = feeds_field(UnfoldAdminCheckboxSelectMultipleWidget)
    days = ChoiceField(label=_("Valid for"), choices=LIFETIMES, initial="90", widget=UnfoldAdminSelectWidget)

    class Meta:
        model = ApiKey
        fields = ("owner", "name")


class InvitationForm(ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Invitation
        fields = ("email", "role")

    def clean_email(self) -> str:
        address = User.objects.normalize_email(self.cleaned_data["email"])
        if reason := why_not_invited(address):
            raise ValidationError(reason)
        return address
