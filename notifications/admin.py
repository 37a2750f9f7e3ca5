"""Messages: what was sent to whom, whether it was delivered, and why not. In a checkout this is the mailbox."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display

from notifications.models import Message, Status
from notifications.outbox import send_again
from notifications.rendering import HIDDEN

STATUS_COLORS = {
    Status.WAITING: "info",
    Status.SENT: "success",
    Status.FAILED: "danger",
    Status.WITHDRAWN: "warning",
    Status.PARKED: "warning",
}
# No script, no picture from elsewhere and no form: looking at a mail does nothing, whatever it holds.
PREVIEW_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
)


class AboutFilter(admin.SimpleListFilter):
    """Messages about one thing, also later ones about it, for example catalog.importrun:12#2. Its page links here."""

    title = _("about")
    parameter_name = "about"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        about = self.value()
        return [(about, about)] if about else []

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        about = self.value()
        return queryset.filter(Q(about=about) | Q(about__startswith=f"{about}#")) if about else queryset


@admin.register(Message)
class MessageAdmin(ModelAdmin):
    list_display = ["subject", "address", "shown_status", "attempts", "told_at", "shown_error"]
    list_filter = ["status", "name", AboutFilter]
    list_per_page = 50
    search_fields = ["subject", "address", "about"]
    list_before_template = "admin/notifications/message/_before_list.html"
    actions = ["send_selected_again"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # the program writes messages, nobody else does

    def has_change_permission(self, request: HttpRequest, obj: Message | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Message | None = None) -> bool:
        return False

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("notifications.resend_message"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        preview = xframe_options_sameorigin(view(require_GET(self.preview_view)))
        attachment = view(require_GET(self.attachment_view))
        own = [
            path("<uuid:pk>/preview/", preview, name="notifications_message_preview"),
            path("<uuid:pk>/attachment/", attachment, name="notifications_message_attachment"),
            path("<uuid:pk>/again/", view(require_POST(self.resend_view)), name="notifications_message_resend"),
        ]
        return [*own, *super().get_urls()]

    # --- the list ---------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        every: QuerySet[Message] = super().get_queryset(request)
        return every.defer("text", "html", "attachments")

    @display(description=_("status"), ordering="status", label={s.label: color for s, color in STATUS_COLORS.items()})
    def shown_status(self, message: Message) -> str:
        return message.get_status_display()

    @display(description=_("last error"))
    def shown_error(self, message: Message) -> str:
        return message.last_error if len(message.last_error) <= 120 else f"{message.last_error[:119]}…"

    @admin.action(description=_("Send selected messages again"), permissions=["resend"])
    def send_selected_again(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        self._send_messages_again(request, queryset)

    # --- one message ------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The message's page: its status, and what it says."""
        message = self.get_object(request, object_id)
        if not self.has_view_permission(request, message):
            raise PermissionDenied
        if message is None:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "title": message.subject,
            "opts": self.model._meta,
            "message": message,
            "status_color": STATUS_COLORS[Status(message.status)],
            "address_now": message.recipient.email if message.recipient else message.address,
            "has_secret": HIDDEN in message.text,
            "can_resend": self.has_resend_permission(request) and message.html,
        }
        return render(request, "admin/notifications/message/message.html", context)

    def preview_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """The HTML as a mail program would show it, for a frame of our own. Links open a new page."""
        html = self._visible_message(request, pk).html.replace("<head>", '<head><base target="_blank">', 1)
        return HttpResponse(html, headers={"Content-Security-Policy": PREVIEW_POLICY})

    def attachment_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """The attached file that `name` asks for."""
        files = {file["name"]: file["text"] for file in self._visible_message(request, pk).attachments}
        name = request.GET.get("name", "")
        if name not in files:
            raise Http404
        # As plain text, whatever its type is: the file is saved, and never shown on our own address.
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return HttpResponse(files[name], content_type="text/plain; charset=utf-8", headers=headers)

    def resend_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        self._send_messages_again(request, Message.objects.filter(pk=self._visible_message(request, pk).pk))
        return redirect("admin:notifications_message_change", pk)

    def _send_messages_again(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        count = send_again(Message.objects.filter(pk__in=queryset.values("pk")), by=request.user)
        text = ngettext("%(count)s message is sent again.", "%(count)s messages are sent again.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    def _visible_message(self, request: HttpRequest, pk: Any) -> Message:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(Message, pk=pk)
