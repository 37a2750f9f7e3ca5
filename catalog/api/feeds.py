"""The calls about feeds that arrive by themselves."""

from __future__ import annotations

from datetime import UTC
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.viewsets import ViewSet

from accounts.api.schema import Answer, documented
from accounts.models import Scope
from catalog.api import examples
from catalog.api.pages import Page
from catalog.api.queries import NoQuery, PageQuery, Query
from catalog.api.serializers import PageSerializer
from catalog.fetching.fetch import request_fetch
from catalog.fetching.schedule import timing_in_words
from catalog.fetching.sources import shown_address
from catalog.imports.permissions import require, visible_feeds
from catalog.models import Feed, Fetch, FetchOutcome, FetchReason, Mode

SLUG = OpenApiParameter(
    "slug",
    {"type": "string", "minLength": 1, "maxLength": 50, "pattern": "^[-a-zA-Z0-9_]+$", "example": "noor"},
    OpenApiParameter.PATH,
    description="The short name of the feed.",
)
FETCH_ID = OpenApiParameter(
    "id", {"type": "integer", "minimum": 1, "maximum": 10**18 - 1, "example": 12}, OpenApiParameter.PATH
)
LOCATION = OpenApiParameter(
    "Location", str, OpenApiParameter.HEADER, required=True, response=[202], description="Where to see what came of it."
)


class FetchSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    url = serializers.SerializerMethodField()
    feed = serializers.CharField(source="feed.slug")
    reason = serializers.ChoiceField(FetchReason.choices)
    outcome = serializers.ChoiceField(FetchOutcome.choices)
    code = serializers.CharField(allow_blank=True, help_text="Stable, for programs; empty while all is well.")
    sentence = serializers.CharField(allow_blank=True, help_text="What came of it, and what to do.")
    due_at = serializers.DateTimeField(default_timezone=UTC)
    started_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)
    finished_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)
    tries = serializers.IntegerField(help_text="How many tries failed.")
    status = serializers.IntegerField(allow_null=True, help_text="What a web server answered.")
    bytes = serializers.IntegerField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    import_url = serializers.SerializerMethodField(help_text="The import that it led to.")

    def get_url(self, fetch: Fetch) -> str:
        address: str = reverse("feed-fetch-detail", [fetch.feed.slug, fetch.pk], request=self.context["request"])
        return address

    def get_import_url(self, fetch: Fetch) -> str | None:
        return reverse("import", [fetch.run_id], request=self.context["request"]) if fetch.run_id else None


class FeedSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    mode = serializers.ChoiceField(Mode.choices)
    auto_apply = serializers.BooleanField()
    address = serializers.SerializerMethodField(help_text="Where it is fetched from, without any login.")
    schedule = serializers.SerializerMethodField(help_text="When it is fetched, in words.")
    last_new_at = serializers.SerializerMethodField(help_text="When the last new file came.")
    failing_since = serializers.SerializerMethodField(help_text="Since when it cannot be fetched.")
    fetches_url = serializers.SerializerMethodField()

    def get_address(self, feed: Feed) -> str | None:
        source = getattr(feed, "source", None)
        return shown_address(source) if source else None

    def get_schedule(self, feed: Feed) -> str | None:
        source = getattr(feed, "source", None)
        return (timing_in_words(source) or None) if source else None

    def get_last_new_at(self, feed: Feed) -> str | None:
        return self._moment(feed, "last_new_at")

    def get_failing_since(self, feed: Feed) -> str | None:
        return self._moment(feed, "failing_since")

    def get_fetches_url(self, feed: Feed) -> str:
        address: str = reverse("feed-fetches", [feed.slug], request=self.context["request"])
        return address

    def _moment(self, feed: Feed, name: str) -> str | None:
        moment = getattr(getattr(feed, "source", None), name, None)
        return serializers.DateTimeField(default_timezone=UTC).to_representation(moment) if moment else None


class FetchPageSerializer(PageSerializer):
    results = FetchSerializer(many=True)


class FeedPageSerializer(PageSerializer):
    results = FeedSerializer(many=True)


class FeedViewSet(ViewSet):
    """Feeds, for people who may look at them in the admin."""

    key_scopes: ClassVar[dict[str, tuple[str, ...]]] = {
        **dict.fromkeys(("list_feeds", "fetches", "fetch_detail"), (Scope.UPLOAD, Scope.CONFIRM)),
        "fetch": (Scope.UPLOAD,),
    }
    queries: ClassVar[dict[str, Query]] = {"list_feeds": PageQuery(), "fetches": PageQuery()}
    no_query = NoQuery()
    asked: dict[str, Any]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action:
            self.asked = self.queries.get(self.action, self.no_query).read(request.query_params)

    @documented(
        "feeds",
        "list_feeds",
        {200: Answer(FeedPageSerializer, examples.page(examples.FEED))},
        errors=(400, 403, 404),
        parameters=[PageQuery()],
    )
    def list_feeds(self, request: Request) -> Response:
        """The feeds, where each is fetched from and when. You need the permission to view feeds, as in the admin."""
        require(request.user, "catalog.view_feed")
        feeds = visible_feeds(request.user).select_related("source__job").order_by("name", "pk")
        return self.render_page(request, feeds, FeedSerializer)

    @documented(
        "feeds",
        "fetch_feed",
        {202: Answer(FetchSerializer, examples.FETCH, "A worker fetches it.")},
        errors=(400, 403, 404, 409),
        parameters=[SLUG, LOCATION],
    )
    def fetch(self, request: Request, slug: str) -> Response:
        """Fetch the feed's file now. You need the permission to upload, as in the admin.

        What is new is received as an upload of yours. While the feed is being fetched, that fetch is the answer.
        """
        require(request.user, "catalog.add_importrun")
        fetch = request_fetch(self.find_feed(request, slug), by=request.user, reason=FetchReason.API)
        data = FetchSerializer(fetch, context={"request": request}).data
        return Response(data, status=202, headers={"Location": str(data["url"])})

    @documented(
        "feeds",
        "feed_fetches",
        {200: Answer(FetchPageSerializer, examples.page(examples.FETCH))},
        errors=(400, 403, 404),
        parameters=[SLUG, PageQuery()],
    )
    def fetches(self, request: Request, slug: str) -> Response:
        """Every time that the feed's file was looked for, the newest first."""
        require(request.user, "catalog.view_feed")
        return self.render_page(request, self.find_feed(request, slug).fetches.select_related("feed"), FetchSerializer)

    @documented(
        "feeds",
        "feed_fetch_detail",
        {200: Answer(FetchSerializer, examples.FETCH)},
        errors=(400, 403, 404),
        parameters=[SLUG, FETCH_ID],
    )
    def fetch_detail(self, request: Request, slug: str, pk: int) -> Response:
        """One fetch: what came of it, and the import that it led to."""
        require(request.user, "catalog.view_feed")
        fetch = self.find_feed(request, slug).fetches.select_related("feed").filter(pk=pk).first()
        if fetch is None:
            raise NotFound("There is no fetch of this feed with this number.")
        return Response(FetchSerializer(fetch, context={"request": request}).data)

    def find_feed(self, request: Request, slug: str) -> Feed:
        feed = visible_feeds(request.user).filter(slug=slug).first()
        if feed is None:
            raise NotFound("There is no feed with this short name.")
        return feed

    def render_page(self, request: Request, rows: QuerySet[Any], serializer: type[Any]) -> Response:
        page = Page(self.asked["page"], self.asked["page_size"], rows.count())
        results = serializer(rows[page.bounds], many=True, context={"request": request}).data
        return Response(page.wrap_results(request, results))
