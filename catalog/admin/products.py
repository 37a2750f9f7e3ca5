"""Products: look at them, edit them, import and export them."""

from typing import Any
from urllib.parse import quote as quote_address
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.humanize.templatetags.humanize import intcomma
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from import_export.admin import ImportExportModelAdmin
from unfold.contrib.import_export.forms import ExportForm
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminExpandableTextareaWidget, UnfoldAdminTextInputWidget

from catalog.admin.bulk import BulkActions
from catalog.admin.columns import COLUMNS, choose_columns, columns_of, variants_in_words
from catalog.admin.differences import field_label, product_facts
from catalog.admin.filters import (
    ArchivedFilter,
    BrandFilter,
    CategoryFilter,
    EditedFilter,
    GroupFilter,
    ImportFilter,
    IssuesFilter,
    MissingFilter,
    NamedFilter,
    PinnedFilter,
    PriceFilter,
    VariantsFilter,
)
from catalog.admin.forms import PINNABLE, FeedImportForm, LinesField, ProductForm
from catalog.admin.history import history_context
from catalog.admin.markets import FeedsOfMarket, MarketList
from catalog.admin.other_markets import in_other_markets
from catalog.admin.pictures import thumbnail
from catalog.admin.shop_window import price_of, shop_window
from catalog.admin.tabs import key_in
from catalog.admin.workspace import issues_of_product, origins_of
from catalog.chosen_market import MARKET, has_several_markets, market_of, markets_of, named_market
from catalog.errors import CatalogError
from catalog.exports.export import STREAMED_PRODUCTS, register_list, request_export
from catalog.exports.resource import ProductResource
from catalog.exports.rows import product_rows
from catalog.feeds.cleaning.values import shown_money
from catalog.feeds.issues import code_named
from catalog.imports.edit import edit_product
from catalog.imports.look import LOOKED_AT_BYTES, look_at
from catalog.imports.receive import receive
from catalog.models import CatalogState, Export, Feed, ImportRun, Product
from catalog.models.fields import MONEY_NAMES
from catalog.models.product import ProductQuerySet
from catalog.resources import PRODUCT_FORMATS, StreamedFormat
from catalog.templatetags.catalog import DOT_IDS, product_url
from catalog.version_cache import compute_once


def _id_in(address: str) -> str:
    """The id in an address; two have other names there."""
    return {name: dots for dots, name in DOT_IDS.items()}.get(address, address)


def _amount_column(name: str) -> Any:
    """The amount with its currency, for people who may only look."""

    @display(description=Product._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
    def shown_amount(product: Product) -> str:
        amount = getattr(product, name)
        return "–" if amount is None else shown_money(amount, product.currency)

    shown_amount.__name__ = name
    return shown_amount


AMOUNT_COLUMNS = {name: _amount_column(name) for name in MONEY_NAMES}


def _with_amounts(fields: Any) -> Any:
    """The fields, one or rows of them, with amounts as people read them."""
    if isinstance(fields, (list, tuple)):
        return [_with_amounts(field) for field in fields]
    return AMOUNT_COLUMNS.get(fields, fields)


SAVE_AND_PIN = "catalog_product_save_and_pin"  # the button, as unfold names it
ALL_MARKETS = 0  # in the key of what is counted over all of them


def facts_of_feeds() -> dict[str, dict[str, Any]]:
    """For the import form: the mode that each feed proposes, and how many products an import of it can archive."""

    def count_products() -> dict[int, int]:
        products = Product.objects.active().filter(feed__isnull=False).order_by()
        return dict(products.values_list("feed").annotate(count=Count("pk")))

    version = CatalogState.objects.aggregate(of_all=Sum("version"))["of_all"] or 0
    numbers = compute_once(ALL_MARKETS, version, "products by feed", count_products)
    feeds = Feed.objects.values_list("pk", "mode")
    return {str(pk): {"mode": mode, "products": numbers.get(pk, 0)} for pk, mode in feeds}


MAX_COUNTED = 10_000  # of products that filters leave; of all of them the number is exact


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts what filters leave only so far: a filter may need a look at each product."""

    @cached_property
    def count(self) -> int:
        products: Any = self.object_list
        return int(products[: MAX_COUNTED + 1].count())


SORTABLE = ["product", "brand", "shown_price", "created_at", "updated_at"]  # what an index has in order


class ProductList(MarketList):
    path = ""  # `ProductAdmin.get_queryset` sees to it, for exports, too

    def __init__(self, request: HttpRequest, *args: Any, **options: Any) -> None:
        self.is_grouped = request.GET.get("grouped") == "yes"
        super().__init__(request, *args, **options)

    @property
    def is_filtered(self) -> bool:
        """Whether the list shows some of the market's active products."""
        return bool(self.query or self.get_filters_params())

    @property
    def more_than(self) -> int | None:
        """That the list has more products than this number, where nobody counted them."""
        return MAX_COUNTED if self.is_filtered and self.result_count > MAX_COUNTED else None

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Any:
        products = super().get_queryset(request, exclude_parameters)
        return products.one_per_group() if self.is_grouped else products

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.full_result_count = self.result_count  # the pager says it; the head would say it once more
        if "variants" in self.list_display:
            self.result_list = list(self.result_list)
            words = variants_in_words(self.market.pk, self.result_list)
            for product in self.result_list:
                product.variants_in_words = words.get(product.item_group_id, "")

    def url_for_result(self, result: Any) -> str:
        return product_url(result.id, self.market)

    def get_ordering_field(self, field_name: Any) -> Any:
        """Only what an index has in order, whatever the address asks for; of brands that is a part."""
        if field_name not in SORTABLE:
            return None
        return "brand_key" if field_name == "brand" else super().get_ordering_field(field_name)

    def _get_deterministic_ordering(self, ordering: Any) -> list[Any]:
        """Ties by id, in the same direction: any page is found in an index of the market's products."""
        fields = [str(field) for field in ordering] or ["id"]
        if not {"id", "-id"} & {*fields}:
            fields.append("-id" if fields[0].startswith("-") else "id")
        return fields


@admin.register(Product)
class ProductAdmin(BulkActions, ImportExportModelAdmin):
    list_display_links = ["product"]
    sortable_by = SORTABLE
    list_filter = [
        BrandFilter,
        CategoryFilter,
        PriceFilter,
        ImportFilter,
        ArchivedFilter,
        "availability",
        ("feed", FeedsOfMarket),
        IssuesFilter,
        PinnedFilter,
        EditedFilter,
        VariantsFilter,
        "condition",
        "gender",
        MissingFilter,
        GroupFilter,
        NamedFilter,
    ]
    list_filter_submit = True
    show_facets = admin.ShowFacets.NEVER  # a count for each choice is a look at each product
    actions = ["archive_selected", "restore_selected", "pin_selected", "unpin_selected", "export_selected"]
    list_select_related = ["feed"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["search"]  # shows the box; `get_search_results` asks the index
    list_before_template = "admin/catalog/product/_list_head.html"
    search_help_text = _("Words in id, title, brand, GTIN or MPN")
    readonly_fields = ["id", "feed", "archived_at", "created_at", "updated_at"]
    fieldsets = [
        (None, {"fields": ["id", "title", "description", "brand", "product_type", "google_product_category"]}),
        (_("Price"), {"fields": [
            ("price", "sale_price"), ("old_price", "final_price"), ("currency", "discount_percent"),
            "sale_price_effective_date"]}),
        (_("Availability"), {"fields": [("availability", "quantity"), "availability_date", "condition"]}),
        (_("Links and pictures"), {"classes": ["tab"], "fields": [
            "link", "mobile_link", "image_link", "additional_image_link", "additional_images_count",
            "icon_media_url"]}),
        (_("Identifiers"), {"classes": ["tab"], "fields": [("gtin", "mpn"), ("identifier_exists", "item_group_id")]}),
        (_("Variants"), {"classes": ["tab"], "fields": [
            ("gender", "gender_orig_value"), ("age_group", "adult"), ("color", "size"), ("material", "pattern"),
            "all_sizes_skus", "sizes_of_all_skus", "options_percentage", ("product_class", "product_season")]}),
        (_("Labels and apps"), {"classes": ["tab"], "fields": [
            "adwords_labels", *(f"custom_label_{n}" for n in range(5)),
            "ios_url", ("ios_app_name", "ios_app_store_id"), "iphone_url", ("iphone_app_name", "iphone_app_store_id"),
            ("android_app_name", "android_package")]}),
        (_("Everything else"), {"classes": ["tab"], "fields": [
            "extra", "feed", ("created_at", "updated_at"), "archived_at"]}),
    ]  # fmt: skip
    formfield_overrides = {
        models.TextField: {"widget": UnfoldAdminTextInputWidget},
        ArrayField: {
            "form_class": LinesField,
            "widget": UnfoldAdminExpandableTextareaWidget,
            "help_text": _("One address per line."),
        },
    }
    form = ProductForm
    actions_submit_line = ["save_and_pin"]
    change_form_before_template = "admin/catalog/product/_window.html"
    change_form_outer_after_template = "admin/catalog/product/_other_markets.html"
    resource_classes = [ProductResource]
    export_form_class = ExportForm
    export_template_name = "admin/catalog/product/export.html"
    import_form_class = FeedImportForm
    import_template_name = "admin/catalog/product/import.html"

    def get_export_formats(self) -> list[type]:
        return PRODUCT_FORMATS

    def has_export_permission(self, request: HttpRequest) -> bool:
        return bool(self.has_view_permission(request) and super().has_export_permission(request))

    def export_action(self, request: HttpRequest) -> HttpResponse:
        """Export what the list shows. A filter that the list does not have is no error of ours, and exports nothing.

        The form's address names its market, or it would be of the one that was chosen in another tab since.
        """
        if request.method == "GET" and has_several_markets(request) and MARKET not in request.GET:
            query = request.GET.copy()
            query[MARKET] = market_of(request).code
            return redirect(f"{request.path}?{query.urlencode()}")
        try:
            page: HttpResponse = super().export_action(request)
        except IncorrectLookupParameters:
            messages.error(
                request,
                _("The address of the export asks for a filter that this list does not have. Choose the filters here."),
            )
            return redirect("admin:catalog_product_changelist")
        return page

    def get_valid_export_item_pks(self, request: HttpRequest) -> list[int]:
        """None: the list has no action that exports some of its rows, and the package would read every key."""
        return []

    def get_export_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_export_context_data(**kwargs)
        return {**context, "streamed_products": STREAMED_PRODUCTS}

    def _do_file_export(
        self, file_format: StreamedFormat, request: HttpRequest, queryset: Any, export_form: Any = None
    ) -> HttpResponseBase:
        """Send a short list at once; have a worker make a long one.

        import-export shows the sentence of a `ValueError` above its form.
        """
        chosen = file_format.streamed
        try:
            if queryset[: STREAMED_PRODUCTS + 1].count() > STREAMED_PRODUCTS:
                export = request_export(
                    by=request.user,
                    market=market_of(request),
                    format_name=chosen.name,
                    query=request.GET.urlencode(),
                )
                return redirect("admin:catalog_export_change", export.pk)
            pieces = chosen.write(product_rows(queryset))
        except CatalogError as refused:
            raise ValueError(refused.message) from refused
        name = self.get_export_filename(request, queryset, file_format)
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
        return StreamingHttpResponse(pieces, content_type=chosen.content_type, headers=headers)

    def get_urls(self) -> list[URLPattern]:
        """Leave out import-export's second step, which would write products without a plan."""
        columns = path(
            "columns/", self.admin_site.admin_view(require_POST(self.columns_view)), name="catalog_product_columns"
        )
        look = path(
            "import/look/", self.admin_site.admin_view(require_POST(self.look_view)), name="catalog_product_look"
        )
        return [columns, look, *(url for url in super().get_urls() if url.name != "catalog_product_process_import")]

    def look_view(self, request: HttpRequest) -> HttpResponse:
        """What a file is, by its first bytes, which are the body. The upload form shows it before the upload."""
        if not self.has_import_permission(request):
            raise PermissionDenied
        feed = get_object_or_404(Feed.objects.select_related("market"), pk=key_in(request.GET.get("feed")) or 0)
        look = look_at(
            request.body[:LOOKED_AT_BYTES],
            is_whole=request.GET.get("whole") == "1",
            file_name=request.GET.get("name", "")[:255],
            feed=feed,
            by=request.user,
        )
        item = look.item
        values = {**item.values, "id": item.id, "extra": item.extra} if item else {}
        context = {
            "look": look,
            "feed": feed,
            "fields": list(product_facts(values, values.get("currency", ""))),
            "issues": [(issue, code_named(issue.code, issue.severity)) for issue in item.issues] if item else [],
        }
        return render(request, "admin/catalog/product/_look.html", context)

    def columns_view(self, request: HttpRequest) -> HttpResponse:
        """Keep the columns that the person has chosen, and go back to the list as it was."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        choose_columns(request.user, [] if "reset" in request.POST else request.POST.getlist("columns"))
        back = QueryDict(request.POST.get("back", "")[:5000], mutable=True)
        back.pop("o", None)  # which column it is sorted by is their number
        return redirect(f"{reverse('admin:catalog_product_changelist')}?{back.urlencode()}")

    def get_list_display(self, request: HttpRequest) -> list[str]:
        columns = columns_of(request)
        if request.GET.get("grouped") == "yes" and "variants" not in columns:
            columns = ["variants", *columns]
        return ["picture", "product", *columns]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        shown = columns_of(request)
        columns = [(name, label, name in shown) for name, label in COLUMNS.items()]
        context = {"columns": columns, "market": market_of(request) if has_several_markets(request) else None}
        page: HttpResponse = super().changelist_view(request, {**context, **(extra_context or {})})
        return page

    def get_paginator(self, request: HttpRequest, queryset: Any, per_page: int, *args: Any, **options: Any) -> Any:
        is_all = not {*request.GET} - {MARKET, "p", "o"}
        kind = Paginator if is_all else BoundedPaginator
        return kind(queryset, per_page, *args, **options)

    def get_fieldsets(self, request: HttpRequest, obj: Product | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if self.has_change_permission(request, obj):
            return fieldsets
        return [(name, {**options, "fields": _with_amounts(options["fields"])}) for name, options in fieldsets]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        """With the pins, which stand beside the fields."""
        fields = flatten_fieldsets(self.get_fieldsets(request, obj))
        return super().get_form(request, obj, change, **{**options, "fields": [*fields, "pinned"]})

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(market=market_of(request))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Product | None:
        """The product with this id, in the market that the address names: one query for the whole page."""
        asked, found = getattr(request, "_product", (None, None))
        if asked != object_id:
            products = Product.objects.filter(market=named_market(request), id=object_id)
            found = products.select_related("feed", "market").first()
            request._product = (object_id, found)  # type: ignore[attr-defined]
        return found

    def message_user(self, request: HttpRequest, message: Any, *args: Any, **options: Any) -> None:
        """The link in the sentence about a product that was saved names the market, as the address does.

        A sentence that is not HTML stays as it is: it may have an id from the address in it.
        """
        market = market_of(request)
        if not market.is_default and isinstance(message, SafeString):
            link = f'href="{quote_address(request.path)}'
            message = mark_safe(str(message).replace(f'{link}"', f'{link}?{urlencode({MARKET: market.code})}"'))  # noqa: S308 - only an address in it changes
        super().message_user(request, message, *args, **options)

    def get_preserved_filters(self, request: HttpRequest) -> str:
        """What the addresses of other pages take over from this one: filters, and the market."""
        preserved: str = super().get_preserved_filters(request)
        market = market_of(request)
        return preserved if market.is_default else "&".join(filter(None, [urlencode({MARKET: market.code}), preserved]))

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return ProductList

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = dict(extra_context or {})
        product = self.get_object(request, unquote(_id_in(object_id)))
        if product and self.has_view_permission(request, product):
            can_change = self.has_change_permission(request, product)
            context |= {"window": shop_window(product), "issues": issues_of_product(product), "can_pin": can_change}
            context["origins"] = origins_of(product, request.GET.get("offer", "").split(",") if can_change else [])
            if has_several_markets(request):
                context["other_markets"] = in_other_markets(product, markets_of(request))
        page: HttpResponse = super().change_view(request, _id_in(object_id), form_url, context)
        return page

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Who or what set each field, and every change. Django's own log does not know about imports."""
        product = self.get_object(request, unquote(_id_in(object_id)))
        if not self.has_view_permission(request, product):
            raise PermissionDenied
        if product is None:
            away: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return away
        context = {
            **self.admin_site.each_context(request),
            **history_context(product),
            "title": _("History of %(product)s") % {"product": product},
            "opts": self.opts,
            "product": product,
        }
        return render(request, "admin/catalog/product/history.html", context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # products come from feeds

    def has_delete_permission(self, request: HttpRequest, obj: Product | None = None) -> bool:
        return False  # they are archived, so that their history stays

    def has_import_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("catalog.add_importrun"))

    def get_search_results(
        self, request: HttpRequest, queryset: ProductQuerySet, search_term: str
    ) -> tuple[ProductQuerySet, bool]:
        found = queryset.search(search_term, market=market_of(request).pk)
        request.corrected_words = found.corrected  # type: ignore[attr-defined]  # for the note above the list
        return found, False

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "description":
            options["widget"] = UnfoldAdminExpandableTextareaWidget(attrs={"dir": "auto"})
        elif isinstance(db_field, models.TextField) and not db_field.choices:
            options["widget"] = UnfoldAdminTextInputWidget(attrs={"dir": "auto"})
        return super().formfield_for_dbfield(db_field, request, **options)

    def save_model(self, request: HttpRequest, obj: Product, form: Any, change: bool) -> None:
        """Write only what the person changed: an import may have changed the rest meanwhile.

        What an import may change back is pinned with it, when the person has chosen so, or offered to be.
        """
        changed = list(form.changed_data)
        if not changed:
            return
        unpinned = [name for name in changed if name in PINNABLE and name not in obj.pinned]
        is_pinned = SAVE_AND_PIN in request.POST
        if unpinned and is_pinned:
            obj.pinned = [*obj.pinned, *unpinned]
            changed.append("pinned")
        edit_product(obj, by=request.user, fields={*changed})
        if unpinned and not is_pinned and obj.feed_id:
            address = product_url(obj.id, obj.market)
            address += ("&" if "?" in address else "?") + urlencode({"offer": ",".join(unpinned)})
            names = ", ".join(map(field_label, unpinned))
            offer = _("The feed's next import may change this back: {}. {}")
            link = format_html('<a href="{}">{}</a>', address, _("Pin it"))
            messages.warning(request, format_html(str(offer), names, link))

    @action(description=_("Save and pin what I changed"), permissions=["change"])
    def save_and_pin(self, request: HttpRequest, obj: Product) -> None:
        """`save_model` does it, in one edit."""

    def log_change(self, request: HttpRequest, obj: Product, message: Any) -> LogEntry:
        """In Django's own log a product stays known by its id."""
        entry: LogEntry = super().log_change(request, obj, message)
        LogEntry.objects.filter(pk=entry.pk).update(object_id=obj.id)
        return entry

    def import_action(self, request: HttpRequest, **_kwargs: Any) -> HttpResponse:
        """Receive a feed and go to its import's page."""
        if not self.has_import_permission(request):
            raise PermissionDenied
        form = self.create_import_form(request)
        if request.method == "POST" and form.is_valid():
            try:
                run = receive(
                    form.cleaned_data["import_file"],
                    feed=form.cleaned_data["feed"],
                    mode=form.cleaned_data["mode"],
                    by=request.user,
                )
            except CatalogError as refused:
                form.add_error("import_file", refused.message)
            else:
                return redirect("admin:catalog_importrun_change", run.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Import products"),
            "opts": self.model._meta,
            "form": form,
            "media": self.media + form.media,
            "feeds": (feeds := facts_of_feeds()),
            "most_bytes": LOOKED_AT_BYTES,
            "products": intcomma(feeds.get(str(form["feed"].value()), {}).get("products", 0)),
            "can_add_feed": request.user.has_perm("catalog.add_feed"),
        }
        return render(request, self.import_template_name, context)

    def get_import_formats(self) -> list[type]:
        return PRODUCT_FORMATS

    def get_import_form_initial(self, request: HttpRequest) -> dict[str, Any]:
        """The choices in the address; else the feed of the market's last import, or its first one, in its own mode."""
        market = market_of(request)
        asked = Feed.objects.filter(pk=key_in(request.GET.get("feed")) or 0).first()
        last = ImportRun.objects.select_related("feed").filter(feed__market=market).first()
        feed = asked or (last.feed if last else Feed.objects.filter(market=market).first() or Feed.objects.first())
        return {"feed": feed, "mode": request.GET.get("mode") or feed.mode} if feed else {}

    @display(description=_("picture"))
    def picture(self, product: Product) -> str:
        return thumbnail(product.image_link, product)

    @display(description=_("product"), ordering="id", header=True)
    def product(self, product: Product) -> list[str]:
        return [format_html('<bdi dir="auto">{}</bdi>', product.title or product.id), product.id]

    @display(description=_("category"))
    def category(self, product: Product) -> str:
        return product.product_type

    @display(description=_("variants"))
    def variants(self, product: Any) -> str:
        words = getattr(product, "variants_in_words", "")
        if not words:
            return "–"
        query = {"group": product.item_group_id} | ({} if product.market.is_default else {MARKET: product.market.code})
        return format_html('<a href="?{}"><bdi dir="auto">{}</bdi></a>', urlencode(query), words)

    @display(description=_("item group id"))
    def group(self, product: Product) -> str:
        return product.item_group_id

    @display(description=_("pinned fields"))
    def pins(self, product: Product) -> str:
        return ", ".join(field_label(name) for name in product.pinned)

    @display(description=_("price"), ordering="price")
    def shown_price(self, product: Product) -> str:
        return price_of(product)

    @display(
        description=_("availability"),
        ordering="availability",
        label={"In stock": "success", "Out of stock": "danger", "Preorder": "info", "Backorder": "warning"},
    )
    def shown_availability(self, product: Product) -> str:
        return "Archived" if product.archived_at else product.get_availability_display()


def _products_of(export: Export) -> ProductQuerySet:
    """What the list shows at the query that an export was asked for."""
    request: Any = HttpRequest()
    request.method, request.path, request.user = "GET", reverse("admin:catalog_product_export"), export.by
    request.GET = query = QueryDict(export.query, mutable=True)
    query[MARKET] = export.market.code
    request.session = {}
    page: Any = admin.site.get_model_admin(Product)
    products: ProductQuerySet = page.get_export_queryset(request)
    return products


register_list(_products_of)
