"""The rows of the catalogue and their rules."""

from catalog.models.feed import Feed, Mode
from catalog.models.imports import (
    Attempt,
    Change,
    ImportRun,
    ItemIssue,
    Operation,
    Outcome,
    Reading,
    RunIssue,
    StagedItem,
    Status,
)
from catalog.models.product import CatalogState, ItemFields, Product

__all__ = [
    "Attempt",
    "CatalogState",
    "Change",
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
]
