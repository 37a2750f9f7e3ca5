"""The rows of the catalogue and their rules."""

from catalog.models.feed import Feed, Mode
from catalog.models.imports import (
    Attempt,
    Change,
    ChangedField,
    Chunk,
    ImportRun,
    ItemIssue,
    Operation,
    Outcome,
    Reading,
    RunIssue,
    StagedItem,
    Status,
)
from catalog.models.product import CatalogState, CatalogVersion, ItemFields, Product
from catalog.models.uploads import UploadKey
from catalog.models.words import Word

__all__ = [
    "Attempt",
    "CatalogState",
    "CatalogVersion",
    "Change",
    "ChangedField",
    "Chunk",
    "Feed",
    "ImportRun",
    "ItemFields",
    "ItemIssue",
    "Mode",
    "Operation",
    "Outcome",
    "Product",
    "Reading",
    "RunIssue",
    "StagedItem",
    "Status",
    "UploadKey",
    "Word",
]
