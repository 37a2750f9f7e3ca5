"""Webhooks: the addresses, their secrets, what each was told, and what it answered."""

from __future__ import annotations

import json
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, F, Max, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from accounts.models import User
from catalog.admin.markets import AllMarketsList
from catalog.admin.tabs import key_in
from catalog.errors import CatalogError
from catalog.fetching.addresses import hide_secrets
from catalog.models import DeliveryStatus, Webhook, WebhookDelivery, WebhookEvent
from catalog.webhooks.edit import (
    CHANGES,
    change_webhook,
    check_address,
    delete_webhook,
    end_old_secret,
    make_webhook,
    rotate_secret,
    send_again,
    send_test,
)

VIEWS = "catalog.view_webhook"
STATUS_COLORS = {DeliveryStatus.WAITING: "info", DeliveryStatus.SENT: "success", DeliveryStatus.PARKED: "danger"}


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    events = forms.MultipleChoiceField(
        label=_("Events"),
        choices=[(event.value, f"{event.label} ({event.value})") for event in WebhookEvent],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = Webhook
        fields = ("name", "address", "events", "is_active")
        widgets = {"address": UnfoldAdminTextInputWidget}
        help_texts = {
            "address": _("For example https://example.com/webhooks. Addresses of this network are refused."),
            "is_active": _("Switched off, it gets nothing new. What waits is sent when it is on again."),
        }

    def clean_address(self) -> str:
        try:
            return check_address(self.cleaned_data["address"])
        except CatalogError as refused:
            raise ValidationError(refused.message) from refused


@admin.register(Webhook)
class WebhookAdmin(ModelAdmin):
    form = WebhookForm
    list_display = ["name", "shown_address", "shown_events", "shown_state", "shown_waiting", "shown_parked", "sent_at"]
    list_per_page = 50
    change_form_outer_before_template = "admin/catalog/webhook/_state.html"

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return AllMarketsList

    def get_actions(self, request: HttpRequest) -> Any:
        """Each is deleted on its own page, where it says what goes with it."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def get_fields(self, request: HttpRequest, obj: Webhook | None = None) -> Any:
        return ["name", "address", "events", *(["is_active"] if obj else [])]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Webhook]:
        every: QuerySet[Webhook] = super().get_queryset(request)
        of_status = {status: Count("deliveries", filter=Q(deliveries__status=status)) for status in DeliveryStatus}
        return every.annotate(
            waiting=of_status[DeliveryStatus.WAITING],
            parked=of_status[DeliveryStatus.PARKED],
            sent_at=Max("deliveries__finished_at", filter=Q(deliveries__status=DeliveryStatus.SENT)),
        )

    def get_urls(self) -> list[URLPattern]:
        def posted(view: Any) -> Any:
            return self.admin_site.admin_view(require_POST(view))

        return [
            path("<int:pk>/test/", posted(self.test_view), name="catalog_webhook_test"),
            path("<int:pk>/secret/", posted(self.secret_view), name="catalog_webhook_secret"),
            path("<int:pk>/old-secret/", posted(self.old_secret_view), name="catalog_webhook_old_secret"),
            *super().get_urls(),
        ]

    # --- what is done -----------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        given = {name: form.cleaned_data[name] for name in ("name", "address", "events")}
        if change:
            change_webhook(obj, by=request.user, **given, is_active=form.cleaned_data["is_active"])
        else:
            made, obj.new_secret = make_webhook(by=request.user, **given)  # type: ignore[attr-defined]  # for the page
            obj.pk = made.pk

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Deliveries go with their webhook, though nobody deletes one alone. They are counted, and not listed."""
        number = WebhookDelivery.objects.filter(webhook__in=objs).count()
        text = ngettext("%(count)s delivery", "%(count)s deliveries", number) % {"count": f"{number:,}"}
        counts = {self.opts.verbose_name_plural: len(objs), WebhookDelivery._meta.verbose_name_plural: number}
        return [*map(str, objs), text], counts, set(), []

    def delete_model(self, request: HttpRequest, obj: Webhook) -> None:
        delete_webhook(obj, by=request.user)

    def changeform_view(self, request: HttpRequest, *arguments: Any, **options: Any) -> HttpResponse:
        """A secret cannot be kept without a key to encrypt it with, which the page then says."""
        try:
            page: HttpResponse = super().changeform_view(request, *arguments, **options)
        except CatalogError as refused:
            messages.error(request, refused.message)
            return redirect(request.path)
        return page

    def render_change_form(self, request: HttpRequest, context: Any, *arguments: Any, **options: Any) -> Any:
        if webhook := context.get("original"):
            parked = webhook.deliveries.filter(status=DeliveryStatus.PARKED).count()
            waiting = webhook.deliveries.filter(status=DeliveryStatus.WAITING).order_by("pk")
            context |= {
                "webhook": webhook,
                "latest": list(webhook.deliveries.order_by("-pk")[:5]),
                "parked": parked,
                "waiting": waiting.count(),
                "first_waiting": waiting.first(),
                "can_change": request.user.has_perm(CHANGES),
            }
        return super().render_change_form(request, context, *arguments, **options)

    def response_add(self, request: HttpRequest, obj: Webhook, post_url_continue: str | None = None) -> HttpResponse:
        return self._secret_page(request, obj, obj.new_secret)  # type: ignore[attr-defined]  # of save_model

    def _secret_page(self, request: HttpRequest, webhook: Webhook, secret: str) -> HttpResponse:
        """The one page that shows the secret. It is not in a message, which would be kept in a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("The new secret"),
            "webhook": webhook,
            "secret": secret,
            "opts": self.opts,
        }
        answer = render(request, "admin/catalog/webhook/secret.html", context)
        add_never_cache_headers(answer)
        return answer

    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        webhook = self._find_webhook(request, pk)
        try:
            delivery = send_test(webhook, by=request.user)
        except CatalogError as refused:
            messages.error(request, refused.message)
            return redirect("admin:catalog_webhook_changelist")
        if delivery.status == DeliveryStatus.SENT:
            messages.success(request, _("The address accepted the test. It answered %s.") % delivery.answer_status)
        else:
            messages.error(request, _("The address did not accept the test. %s") % delivery.error)
        return redirect("admin:catalog_webhookdelivery_change", delivery.pk)

    def secret_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        webhook = self._find_webhook(request, pk)
        try:
            secret = rotate_secret(webhook, by=request.user)
        except CatalogError as refused:
            messages.error(request, refused.message)
            return redirect("admin:catalog_webhook_change", pk)
        return self._secret_page(request, webhook, secret)

    def old_secret_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        end_old_secret(self._find_webhook(request, pk), by=request.user)
        messages.success(request, _("Only the newest secret signs from now on."))
        return redirect("admin:catalog_webhook_change", pk)

    def _find_webhook(self, request: HttpRequest, pk: int) -> Webhook:
        if not request.user.has_perm(CHANGES):
            raise PermissionDenied
        return get_object_or_404(Webhook, pk=pk)

    # --- what is shown ----------------------------------------------------------------------------------

    @display(description=_("address"), ordering="address")
    def shown_address(self, webhook: Webhook) -> str:
        return hide_secrets(webhook.address)

    @display(description=_("events"))
    def shown_events(self, webhook: Webhook) -> str:
        return ", ".join(webhook.events)

    @display(description=_("state"), ordering="is_active", label={"on": "success", "off": "warning"})
    def shown_state(self, webhook: Webhook) -> tuple[str, Any]:
        return ("on", _("Active")) if webhook.is_active else ("off", _("Off"))

    @display(description=_("waiting"), ordering="waiting")
    def shown_waiting(self, webhook: Any) -> str:
        return f"{webhook.waiting:,}"

    @display(description=_("parked"), ordering="parked")
    def shown_parked(self, webhook: Any) -> str:
        return f"{webhook.parked:,}"

    @display(description=_("last sent"), ordering=F("sent_at").desc(nulls_last=True))
    def sent_at(self, webhook: Any) -> Any:
        return webhook.sent_at

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return "secret" not in lookup and super().lookup_allowed(lookup, value, request)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ModelAdmin):
    """For people who may look at webhooks. Who may change them sends again."""

    list_display = [
        "shown_number",
        "webhook",
        "event",
        "about",
        "shown_status",
        "attempts",
        "shown_answer",
        "written_at",
    ]
    list_display_links = ["shown_number", "event"]
    list_filter = ["status", "event", "webhook"]
    list_select_related = ["webhook"]
    list_per_page = 50
    search_fields = ["about"]
    actions = ["send_selected_again"]

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return AllMarketsList

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: WebhookDelivery | None = None) -> bool:
        return bool(request.user.has_perm(VIEWS))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # the program writes them, nobody else does

    def has_change_permission(self, request: HttpRequest, obj: WebhookDelivery | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: WebhookDelivery | None = None) -> bool:
        return False

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(CHANGES))

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return "secret" not in lookup and super().lookup_allowed(lookup, value, request)

    def get_urls(self) -> list[URLPattern]:
        again = self.admin_site.admin_view(require_POST(self.again_view))
        return [path("<int:pk>/again/", again, name="catalog_webhookdelivery_again"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """What was sent, what was answered, and when it is tried next."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        delivery = self.get_object(request, str(key_in(object_id) or 0))
        if delivery is None:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "title": str(delivery),
            "opts": self.opts,
            "delivery": delivery,
            "address": hide_secrets(delivery.webhook.address),
            "body": json.dumps(json.loads(delivery.body), indent=2, ensure_ascii=False),
            "status_color": STATUS_COLORS[DeliveryStatus(delivery.status)],
            "can_resend": self.has_resend_permission(request),
        }
        return render(request, "admin/catalog/webhook/delivery.html", context)

    @admin.action(description=_("Send selected deliveries again"), permissions=["resend"])
    def send_selected_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        self._send_again(request, queryset)

    def again_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_resend_permission(request):
            raise PermissionDenied
        get_object_or_404(WebhookDelivery, pk=pk)
        self._send_again(request, WebhookDelivery.objects.filter(pk=pk))
        return redirect("admin:catalog_webhookdelivery_change", pk)

    def _send_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        rows = WebhookDelivery.objects.filter(pk__in=queryset.values("pk"))
        count = send_again(rows, by=cast("User", request.user))
        text = ngettext("%(count)s delivery is sent again.", "%(count)s deliveries are sent again.", count)
        messages.success(request, text % {"count": count})

    @display(description=_("delivery"), ordering="id")
    def shown_number(self, delivery: WebhookDelivery) -> str:
        return f"#{delivery.pk}"

    @display(description=_("status"), ordering="status", label={s.label: color for s, color in STATUS_COLORS.items()})
    def shown_status(self, delivery: WebhookDelivery) -> str:
        return delivery.get_status_display()

    @display(description=_("answer"), ordering="answer_status")
    def shown_answer(self, delivery: WebhookDelivery) -> str:
        if delivery.answer_status:
            return str(delivery.answer_status)
        return delivery.error if len(delivery.error) <= 80 else f"{delivery.error[:79]}…"
