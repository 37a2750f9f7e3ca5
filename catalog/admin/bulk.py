"""What can be done to many products of the list at once. Each asks first, on a page that says how many it is about."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin

from catalog.admin.differences import field_label
from catalog.admin.filters import MAX_NAMED
from catalog.admin.forms import PINNABLE
from catalog.admin.tabs import key_in
from catalog.chosen_market import MARKET, has_several_markets, market_of, markets_of
from catalog.errors import CatalogError
from catalog.imports.edit import MAX_EDITED_PRODUCTS, Edit, edit_products
from catalog.models.product import ProductQuerySet

SHOWN_PRODUCTS = 10
_QUESTIONS: dict[Edit, Any] = {
    Edit.ARCHIVE: _("Archive these products?"),
    Edit.RESTORE: _("Take these products out of the archive?"),
    Edit.PIN: _("Pin fields of these products?"),
    Edit.UNPIN: _("Unpin fields of these products?"),
}
_CONSEQUENCES: dict[Edit, Any] = {
    Edit.ARCHIVE: _(
        "They leave the catalogue and the API, and keep their history. An import that has them brings them back; you "
        "can restore them."
    ),
    Edit.RESTORE: _("They are in the catalogue and in the API again, as they were."),
    Edit.PIN: _("Imports no longer change the fields that you choose. A plan shows the file's value and keeps yours."),
    Edit.UNPIN: _("Imports change these fields again."),
}


def digest_of(keys: Iterable[int]) -> str:
    """Tells a choice of products from any other."""
    return sha256(",".join(map(str, sorted(keys))).encode()).hexdigest()


class BulkActions(ModelAdmin):
    """The actions of the list of products, for people who may change, or export, each of them."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """An action is about the market whose list was shown, whatever was chosen in another tab since."""
        if MARKET in request.POST:
            key = key_in(request.POST[MARKET])
            shown = next((market for market in markets_of(request) if market.pk == key), None)
            if shown is None:
                messages.warning(request, _("The market of that list is there no longer. Nothing was done."))
                return redirect(request.path)
            address: Any = request.GET.copy()
            address[MARKET] = shown.code
            request.GET = address
        page: HttpResponse = super().changelist_view(request, extra_context)
        return page

    @admin.action(description=_("Archive…"), permissions=["change"])
    def archive_selected(self, request: HttpRequest, products: ProductQuerySet) -> HttpResponse | None:
        return self._ask_or_edit(request, products, Edit.ARCHIVE)

    @admin.action(description=_("Restore…"), permissions=["change"])
    def restore_selected(self, request: HttpRequest, products: ProductQuerySet) -> HttpResponse | None:
        return self._ask_or_edit(request, products, Edit.RESTORE)

    @admin.action(description=_("Pin fields…"), permissions=["change"])
    def pin_selected(self, request: HttpRequest, products: ProductQuerySet) -> HttpResponse | None:
        return self._ask_or_edit(request, products, Edit.PIN)

    @admin.action(description=_("Unpin fields…"), permissions=["change"])
    def unpin_selected(self, request: HttpRequest, products: ProductQuerySet) -> HttpResponse | None:
        return self._ask_or_edit(request, products, Edit.UNPIN)

    @admin.action(description=_("Export…"), permissions=["export"])
    def export_selected(self, request: HttpRequest, products: ProductQuerySet) -> HttpResponse:
        """The form of the export asks for the format. All that the list shows is exported by the list's address."""
        query = request.GET.copy()
        if request.POST.get("select_across") != "1":
            keys = products.order_by().values_list("key", flat=True)[:MAX_NAMED]
            query.clear()
            query["archive"] = "all"
            query["only"] = ",".join(map(str, keys))
            if has_several_markets(request):
                query[MARKET] = market_of(request).code
        return redirect(f"{reverse('admin:catalog_product_export')}?{query.urlencode()}")

    def _ask_or_edit(self, request: HttpRequest, products: ProductQuerySet, edit: Edit) -> HttpResponse | None:
        """The page that asks; once it is confirmed, the list again, with what came of it.

        Exactly the products that were shown are confirmed: if the list has others by then, it is asked again.
        """
        keys = list(products.order_by().values_list("key", flat=True)[: MAX_EDITED_PRODUCTS + 1])
        if len(keys) > MAX_EDITED_PRODUCTS:
            too_many = _("At most %(number)s products at once. Filter the list, or choose fewer.")
            messages.warning(request, too_many % {"number": intcomma(MAX_EDITED_PRODUCTS)})
            return None
        fields = [name for name in request.POST.getlist("fields") if name in PINNABLE]
        chooses_fields = edit in (Edit.PIN, Edit.UNPIN)
        is_confirmed = request.POST.get("confirmed") == digest_of(keys)
        if is_confirmed and (fields or not chooses_fields):
            self._edit(request, keys, edit, fields)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": _QUESTIONS[edit],
            "consequence": _CONSEQUENCES[edit],
            "opts": self.opts,
            "number": len(keys),
            "digest": digest_of(keys),
            "market": market_of(request) if has_several_markets(request) else None,
            "products": list(products[:SHOWN_PRODUCTS]),
            "more": max(len(keys) - SHOWN_PRODUCTS, 0),
            "error": "confirmed" in request.POST
            and (_("Choose at least one field.") if is_confirmed else _("The list has changed. Look at it again.")),
            "fields": [(name, field_label(name), name in fields) for name in PINNABLE] if chooses_fields else [],
            "action": request.POST["action"],
            "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "checkbox": ACTION_CHECKBOX_NAME,
            "select_across": request.POST.get("select_across", "0"),
            "back": request.get_full_path(),
            "is_risky": edit == Edit.ARCHIVE,
        }
        return render(request, "admin/catalog/product/bulk.html", context)

    def _edit(self, request: HttpRequest, keys: list[int], edit: Edit, fields: list[str]) -> None:
        try:
            number = edit_products(keys, edit, by=request.user, market=market_of(request).pk, fields=fields)
        except CatalogError as refused:
            messages.warning(request, refused.message)
            return
        done = {
            Edit.ARCHIVE: ngettext("%(number)s product archived.", "%(number)s products archived.", number),
            Edit.RESTORE: ngettext("%(number)s product restored.", "%(number)s products restored.", number),
            Edit.PIN: ngettext("Fields of %(number)s product pinned.", "Fields of %(number)s products pinned.", number),
            Edit.UNPIN: ngettext(
                "Fields of %(number)s product unpinned.", "Fields of %(number)s products unpinned.", number
            ),
        }[edit] % {"number": intcomma(number)}
        others = len(keys) - number
        if others:
            was = ngettext("%(number)s was so already.", "%(number)s were so already.", others)
            done = f"{done} {was % {'number': intcomma(others)}}"
        if number and len(keys) <= MAX_NAMED:
            query = {"archive": "all", "only": ",".join(map(str, keys))}
            done = format_html('{} <a href="?{}">{}</a>', done, urlencode(query), _("Show them"))
        messages.success(request, done)
