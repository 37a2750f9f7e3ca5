"""What a product's page says beside its form: the issues of its last import, and where each field comes from."""

from __future__ import annotations

from typing import Any

from catalog.admin.forms import PINNABLE
from catalog.feeds.attributes import expected_value
from catalog.feeds.issues import code_named, severity_of
from catalog.imports.items import items_at
from catalog.imports.reports.downloads import with_issues
from catalog.imports.reports.history import product_history
from catalog.models import Product, ProductIssues


def issues_of_product(product: Product) -> list[dict[str, Any]]:
    """The issues that each feed's last import found, the worst first; what stood in the file, as long as it is kept."""
    noted: Any = ProductIssues.objects.filter(market=product.market_id, product_id=product.id)
    shown = []
    for found in noted.select_related("run__feed").order_by("-run"):
        items = [item for item in items_at(found.run, [found.position]) if item.product_id == product.id]
        issues = with_issues(found.run, items)[0]["issues"] if items else _listed_issues(found)
        shown.append({"run": found.run, "is_invalid": found.is_invalid, "issues": issues})
    return shown


def _listed_issues(found: ProductIssues) -> list[dict[str, Any]]:
    issues = []
    for issue in found.issues:
        code, _colon, attribute = issue.partition(":")
        severity = severity_of(code, attribute)
        expected = expected_value(attribute)
        issues.append({"code": code_named(code), "attribute": attribute, "severity": severity, "expected": expected})
    return sorted(issues, key=lambda issue: issue["severity"].rank)


def origins_of(product: Product, offered: list[str]) -> dict[str, dict[str, Any]]:
    """For each field that can be pinned what set it, and whether it is pinned, or offered to be."""
    setters = product_history(product).setters
    return {
        name: {
            "event": setters.get(name),
            "has_value": getattr(product, name) not in (None, "", [], {}),
            "is_pinned": name in product.pinned,
            "is_offered": name in offered and name not in product.pinned,
        }
        for name in PINNABLE
    }
