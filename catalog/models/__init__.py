"""The rows of the catalogue and their rules."""

from catalog.models.catalogue import CatalogState, CatalogVersion, RemovedProduct
from catalog.models.changes import Change, ChangedField, ChangeFacets, Operation, Outcome
from catalog.models.columns import ChosenColumns
from catalog.models.exporting import Export, ExportStatus
from catalog.models.feed import Feed, Mode
from catalog.models.fetching import FeedSource, Fetch, FetchOutcome, FetchReason, Login
from catalog.models.fields import ItemFields
from catalog.models.idempotency import UploadKey
from catalog.models.market import DEFAULT_MARKET, Market, MarketState
from catalog.models.product import Product
from catalog.models.refused import RefusedFile
from catalog.models.runs import (
    Attempt,
    Chunk,
    ImportRun,
    ItemIssue,
    KnownItem,
    ProductIssues,
    Reading,
    RunIssue,
    Shape,
    StagedItem,
    Status,
)
from catalog.models.search import Word
from catalog.models.webhooks import DeliveryStatus, Webhook, WebhookDelivery, WebhookEvent

__all__ = [
    "DEFAULT_MARKET",
    "Attempt",
    "CatalogState",
    "CatalogVersion",
    "Change",
    "ChangeFacets",
    "ChangedField",
    "ChosenColumns",
    "Chunk",
    "DeliveryStatus",
    "Export",
    "ExportStatus",
    "Feed",
    "FeedSource",
    "Fetch",
    "FetchOutcome",
    "FetchReason",
    "ImportRun",
    "ItemFields",
    "ItemIssue",
    "KnownItem",
    "Login",
    "Market",
    "MarketState",
    "Mode",
    "Operation",
    "Outcome",
    "Product",
    "ProductIssues",
    "Reading",
    "RefusedFile",
    "RemovedProduct",
    "RunIssue",
    "Shape",
    "StagedItem",
    "Status",
    "UploadKey",
    "Webhook",
    "WebhookDelivery",
    "WebhookEvent",
    "Word",
]
