"""People and roles in the admin."""

from typing import Any, cast

from allauth.socialaccount.models import SocialAccount
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Count, ForeignKey, ManyToManyField, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.addresses import trust_address
from accounts.delegation import grantable_groups, match_staff, may_change
from accounts.forms import AdminKeyForm, InvitationForm, NewUserForm, RoleField, RolesField
from accounts.history import browser_name, how_in_words
from accounts.invitations import InvitationRefused, invite, resend, withdraw
from accounts.keys import digest_of, make_key, revoke_keys
from accounts.mails import write_letter_to_old_address, write_mail
from accounts.models import ApiKey, Invitation, LoginRecord, LoginSession, RoleGroup, Scope, User
from accounts.roles import ROLES, description_of
from accounts.second_factor import remove_second_factor
from events.log import log_event

admin.site.unregister(Group)

STATES = {
    "open": _("open"),
    "accepted": _("accepted"),
    "withdrawn": _("withdrawn"),
    "expired": _("expired"),
}


KEY_STATES = {"good": _("good"), "revoked": _("revoked"), "expired": _("expired")}


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """Only a superuser gives single permissions; everybody else gives roles, none of which exceeds their own."""

    form = UserChangeForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "full_name", "roles", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups")
    readonly_fields = ("last_login", "date_joined", "api_logins")
    filter_horizontal = ("user_permissions",)
    actions = ("reset_second_factor", "unlink_openid")
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": (
                    "username",
                    "email",
                    "first_name",
                    "last_name",
                    "usable_password",
                    "password1",
                    "password2",
                ),
            },
        ),
    )

    @admin.display(description=_("name"))
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @admin.display(description=_("roles"))
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all())

    @admin.display(description=_("logins"))
    def api_logins(self, user: User) -> SafeString:
        address = reverse("admin:accounts_loginsession_changelist", query={"user__id__exact": user.pk})
        count = user.login_sessions.filter(ended_at=None).count()
        return format_html('<a class="underline" href="{}">{}</a>', address, _("%(count)d open") % {"count": count})

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        for_everyone = tuple(super().get_readonly_fields(request, obj))
        return for_everyone if request.user.is_superuser else (*for_everyone, "is_superuser", "user_permissions")

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj and not self.has_change_permission(request, obj):
            fieldsets = [(None, {"fields": ("username",)}), *fieldsets[1:]]  # even a part of a hash stays hidden
        if obj and request.user.has_perm("accounts.view_loginsession"):
            return [*fieldsets, (_("API"), {"fields": ("api_logins",)})]
        return fieldsets

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A person's logins, their history and keys go with the person. Otherwise nobody deletes one."""
        deleted, counts, not_allowed, protected = super().get_deleted_objects(objs, request)
        gone_too = {model._meta.verbose_name for model in (LoginSession, LoginRecord, ApiKey)}
        return deleted, counts, not_allowed - gone_too, protected

    def formfield_for_manytomany(
        self, db_field: "ManyToManyField[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "groups":
            kwargs |= {
                "form_class": RolesField,
                "widget": UnfoldAdminCheckboxSelectMultipleWidget,
                "queryset": grantable_groups(_actor(request)).order_by("name"),
                "label": _("Roles"),
                "help_text": _("What this person may do in the admin. Only staff may enter it."),
            }
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: User, form: "ModelForm[Any]", change: bool) -> None:
        super().save_model(request, obj, form, change)
        if "email" in form.changed_data:
            if change:
                write_letter_to_old_address(obj, form.initial["email"])
            # An address that was confirmed before opens the account, too, so the replaced one must go.
            trust_address(obj)

    @admin.action(description=_("Remove the second factor of the selected people"), permissions=["reset"])
    def reset_second_factor(self, request: HttpRequest, people: QuerySet[User]) -> None:
        """For somebody who lost theirs. Both get a mail."""
        actor, names = _actor(request), []
        for person in people:
            with transaction.atomic():
                if remove_second_factor(person):
                    names.append(person.username)
                    log_event("second_factor_reset", by=actor, person=person.username)
                    for told in {person, actor}:
                        write_mail("second_factor_removed", told, whose=person.username, by=actor.username)
        if names:
            messages.success(request, _("Removed: the second factor of %s.") % ", ".join(names))
        else:
            messages.warning(request, _("None of them has a second factor."))

    @admin.action(description=_("Unlink the selected people from OpenID"), permissions=["reset"])
    def unlink_openid(self, request: HttpRequest, people: QuerySet[User]) -> None:
        """For somebody whom the provider made anew: the next login by the address links the account again."""
        unlinked = SocialAccount.objects.filter(user__in=people).select_related("user")
        names = sorted({account.user.username for account in unlinked})
        for name in names:
            log_event("openid_unlinked", by=_actor(request), person=name)
        unlinked.delete()
        messages.success(request, _("Unlinked from OpenID: %s.") % (", ".join(names) or _("nobody")))

    def has_reset_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        person: User = form.instance
        had_role = person.groups.exists()
        super().save_related(request, form, formsets, change)
        if match_staff(person, had_role=had_role):
            gained, lost = _("%s is staff now, with a role."), _("%s has no role left, and is no longer staff.")
            messages.info(request, (gained if person.is_staff else lost) % person.username)

    @method_decorator(sensitive_post_parameters())
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """As Django's. The owner is warned, whoever did it."""
        person = self.get_object(request, unquote(id))
        before = person.password if person else ""
        with transaction.atomic():
            answer: HttpResponse = super().user_change_password(request, id, form_url)
            if person and User.objects.get(pk=person.pk).password != before:
                by = "" if person == request.user else _actor(request).username
                write_mail("password_changed", person, by=by)
        return answer


@admin.register(Invitation)
class InvitationAdmin(ModelAdmin):
    """Who is to come in, and with which role. Nobody invites above themselves."""

    form = InvitationForm
    list_display = ("email", "role", "invited_by", "sent_at", "expires_at", "shown_state")
    list_filter = ("role",)
    list_select_related = ("role", "invited_by")
    search_fields = ("email",)
    ordering = ("-sent_at",)
    fields = ("email", "role")
    actions = ("send_again", "withdraw_selected")

    @display(description=_("state"), label={"open": "info", "accepted": "success", "expired": "warning"})
    def shown_state(self, invitation: Invitation) -> tuple[str, Any]:
        return invitation.state, STATES[invitation.state]

    def get_fields(self, request: HttpRequest, obj: Invitation | None = None) -> Any:
        return (
            (*self.fields, "invited_by", "sent_at", "expires_at", "accepted_at", "withdrawn_at") if obj else self.fields
        )

    def formfield_for_foreignkey(self, db_field: "ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "role":
            kwargs |= {"queryset": grantable_groups(_actor(request)).order_by("name"), "form_class": RoleField}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Invitation, form: "ModelForm[Any]", change: bool) -> None:
        made = invite(obj.email, obj.role, by=_actor(request))
        obj.pk = made.pk

    def response_add(self, request: HttpRequest, obj: Invitation, post_url_continue: str | None = None) -> HttpResponse:
        messages.success(request, _("An invitation goes to %s. It can be accepted for seven days.") % obj.email)
        return redirect("admin:accounts_invitation_changelist")

    @admin.action(description=_("Send the selected invitations again"), permissions=["add"])
    def send_again(self, request: HttpRequest, invitations: QuerySet[Invitation]) -> None:
        sent = self._do_each(request, invitations, resend)
        messages.success(request, _("Invitations sent again: %d. Their earlier links no longer work.") % sent)

    @admin.action(description=_("Withdraw the selected invitations"), permissions=["add"])
    def withdraw_selected(self, request: HttpRequest, invitations: QuerySet[Invitation]) -> None:
        messages.success(request, _("Invitations withdrawn: %d.") % self._do_each(request, invitations, withdraw))

    def _do_each(self, request: HttpRequest, invitations: QuerySet[Invitation], do: Any) -> int:
        done = 0
        for invitation in invitations:
            try:
                do(invitation, by=_actor(request))
                done += 1
            except InvitationRefused as error:
                messages.error(request, str(error))
        return done

    def has_change_permission(self, request: HttpRequest, obj: Invitation | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Invitation | None = None) -> bool:
        return False


@admin.register(LoginSession)
class LoginSessionAdmin(ModelAdmin):
    """Logins through the API, which can be ended here."""

    list_display = ("user", "created_at", "refreshed_at", "state")
    list_filter = (("ended_at", admin.EmptyFieldListFilter),)
    search_fields = ("user__username", "user__email")
    list_select_related = ("user",)
    ordering = ("-created_at",)
    fields = ("user", "created_at", "refreshed_at", "ended_at")
    actions = ("end_logins",)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Nobody guesses what a token is made of, letter by letter."""
        secrets = ("auth_hash", "refresh_id", "previous_refresh_id")
        return not lookup.startswith(secrets) and super().lookup_allowed(lookup, value, request)

    @display(description=_("state"), label={"open": "success"})
    def state(self, session: LoginSession) -> tuple[str, str]:
        return ("ended", str(_("ended"))) if session.ended_at else ("open", str(_("open")))

    @admin.action(description=_("End the selected logins"), permissions=["change"])
    def end_logins(self, request: HttpRequest, sessions: QuerySet[LoginSession]) -> None:
        people = {session.user for session in sessions.select_related("user")}
        out_of_reach = [person for person in people if not _may_touch(request, person)]
        if out_of_reach:
            names = ", ".join(sorted(person.username for person in out_of_reach))
            messages.error(request, _("No login was ended: %(names)s may do more than you.") % {"names": names})
            return
        ended = sessions.filter(ended_at=None).update(ended_at=timezone.now())
        messages.success(request, _("Logins ended: %(count)d. Their tokens no longer work.") % {"count": ended})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LoginSession | None = None) -> bool:
        return obj is None and request.user.has_perm("accounts.change_loginsession")

    def has_delete_permission(self, request: HttpRequest, obj: LoginSession | None = None) -> bool:
        return False


@admin.register(LoginRecord)
class LoginRecordAdmin(ModelAdmin):
    """Who logged in and how, and whose tries were refused. Nobody changes it."""

    list_display = ("at", "user", "shown_outcome", "shown_how", "address", "shown_browser")
    list_filter = (("refused", admin.EmptyFieldListFilter), "to", "at")
    search_fields = ("user__username", "user__email", "address")
    search_help_text = _("A name, an e-mail address, or the address of a connection")
    list_select_related = ("user",)
    ordering = ("-at",)
    fields = ("at", "user", "outcome", "shown_how", "address", "user_agent")
    readonly_fields = fields

    @display(description=_("outcome"), label={"in": "success", "refused": "warning"})
    def shown_outcome(self, record: LoginRecord) -> tuple[str, str]:
        return ("refused", str(_("refused"))) if record.refused else ("in", str(_("logged in")))

    @admin.display(description=_("outcome"))
    def outcome(self, record: LoginRecord) -> str:
        return str(self.shown_outcome(record)[1])

    @admin.display(description=_("how"))
    def shown_how(self, record: LoginRecord) -> str:
        return how_in_words(record)

    @admin.display(description=_("browser"))
    def shown_browser(self, record: LoginRecord) -> str:
        return browser_name(record.user_agent)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LoginRecord | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: LoginRecord | None = None) -> bool:
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """The keys of machines. Managers make them for people who may do no more than they, and revoke them."""

    form = AdminKeyForm
    list_display = (
        "name",
        "owner",
        "beginning",
        "shown_scopes",
        "expires_at",
        "last_used_at",
        "last_used_from",
        "shown_state",
    )
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username", "owner__email", "beginning")
    actions = ("revoke_selected",)

    @display(description=_("state"), label={"good": "success", "expired": "warning"})
    def shown_state(self, key: ApiKey) -> tuple[str, Any]:
        return key.state, KEY_STATES[key.state]

    @admin.display(description=_("may"))
    def shown_scopes(self, key: ApiKey) -> str:
        return ", ".join(str(Scope(scope).label) for scope in key.scopes)

    @admin.display(description=_("feeds"))
    def shown_feeds(self, key: ApiKey) -> str:
        return ", ".join(key.feeds) or str(_("all"))

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return not lookup.startswith("digest") and super().lookup_allowed(lookup, value, request)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        if obj is None:
            return ("owner", "name", "scopes", "feeds", "days")
        dates = ("created_at", "expires_at", "last_used_at", "last_used_from", "revoked_at")
        return ("owner", "name", "beginning", "shown_scopes", "shown_feeds", "made_by", *dates)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return self.get_fields(request, obj) if obj else ()

    def formfield_for_foreignkey(self, db_field: "ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "owner":
            actor = _actor(request)
            within_reach = [one.pk for one in User.objects.filter(is_active=True) if may_change(actor, one)]
            kwargs |= {"queryset": User.objects.filter(pk__in=within_reach).order_by("username")}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: "ModelForm[Any]", change: bool) -> None:
        given = form.cleaned_data
        obj.secret = make_key(  # type: ignore[attr-defined]  # shown by what comes next
            given["owner"],
            name=given["name"],
            scopes=given["scopes"],
            feeds=given["feeds"],
            days=int(given["days"]),
            by=_actor(request),
        )
        obj.pk = ApiKey.objects.get(digest=digest_of(obj.secret)).pk  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """The one page that shows the key. It is not in a message, which would be kept in a cookie."""
        context = {**self.admin_site.each_context(request), "title": _("The new key"), "key": obj, "opts": self.opts}
        answer = render(request, "admin/accounts/key_made.html", context)
        add_never_cache_headers(answer)
        return answer

    @admin.action(description=_("Revoke the selected keys"), permissions=["change"])
    def revoke_selected(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        keys = keys.select_related("owner")
        out_of_reach = {key.owner.username for key in keys if not _may_touch(request, key.owner)}
        if out_of_reach:
            names = ", ".join(sorted(out_of_reach))
            messages.error(request, _("No key was revoked: %(names)s may do more than you.") % {"names": names})
            return
        revoked = revoke_keys(keys, by=_actor(request))
        messages.success(request, _("Keys revoked: %d. They no longer work.") % revoked)

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return obj is None and request.user.has_perm("accounts.change_apikey")

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False


def _may_touch(request: HttpRequest, person: User | None) -> bool:
    return person is None or may_change(_actor(request), person)


def _actor(request: HttpRequest) -> User:
    return cast("User", request.user)  # an anonymous user does not get this far into the admin


@admin.register(RoleGroup)
class RoleAdmin(DjangoGroupAdmin, ModelAdmin):
    """Groups say what others may do, so only superusers edit them. The roles in code cannot be edited here."""

    list_display = ("name", "about", "members")
    fieldsets = ((None, {"fields": ("name", "permissions")}),)
    role_fieldsets = (
        (
            None,
            {
                "fields": ("name", "about", "what_it_may_do"),
                "description": _(
                    "This role is part of the program: its permissions are in accounts/roles.py and are restored "
                    "whenever the database is migrated. Give it to people, or take it away, on their own pages."
                ),
            },
        ),
    )

    @admin.display(description=_("description"))
    def about(self, group: Group) -> str:
        return description_of(group.name)

    @admin.display(description=_("members"), ordering="members")
    def members(self, group: Group) -> int:
        return int(group.members)  # type: ignore[attr-defined]  # annotated in get_queryset

    @admin.display(description=_("permissions"))
    def what_it_may_do(self, group: Group) -> SafeString:
        permissions = group.permissions.order_by("content_type__app_label", "name").values_list("name")
        return format_html_join("", "<div>{}</div>", permissions)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(members=Count("user"))

    def get_fieldsets(self, request: HttpRequest, obj: Group | None = None) -> Any:
        return self.role_fieldsets if _is_role(obj) else self.fieldsets

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return request.user.has_perm("auth.view_group")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return request.user.is_superuser and not _is_role(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return request.user.is_superuser and not _is_role(obj)


def _is_role(group: Group | None) -> bool:
    return group is not None and group.name in ROLES
