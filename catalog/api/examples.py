"""Examples of what the calls take and answer, for the description. A test compares them with the schema."""

from __future__ import annotations

import json
from typing import Any

from catalog.feeds.attributes import COLUMNS, Type

BLANK: dict[Type, Any] = {Type.MONEY: None, Type.INTEGER: None, Type.BOOLEAN: None, Type.URLS: []}
SITE = "https://catalogue.example.com"

PRODUCT: dict[str, Any] = {
    **{attribute.name: BLANK.get(attribute.type, "") for attribute in COLUMNS},
    "id": "205042570_242",
    "title": "Silk dress",
    "description": "A dress of silk.",
    "brand": "Noor",
    "condition": "new",
    "link": "https://www.example.com/205042570_242",
    "image_link": "https://www.example.com/205042570_242.jpg",
    "price": "1250.00",
    "currency": "AED",
    "availability": "in_stock",
    "quantity": 4,
    "mpn": "N-1",
    "gender": "female",
    "color": "Red",
    "size": "M",
    "extra": {"multipack": "2"},
    "created_at": "2026-11-22T10:00:00Z",
    "updated_at": "2026-11-22T10:00:00Z",
    "market": "default",
}
MARKET = {
    "code": "ae-en",
    "name": "UAE, English",
    "country": "AE",
    "language": "en",
    "currency": "AED",
    "is_default": True,
}
PRODUCT_LINES = f"{json.dumps(PRODUCT)}\n"
PRODUCT_CSV = "id,title,brand,price,currency\r\n205042570_242,Silk dress,Noor,1250.00,AED\r\n"
PRODUCT_FEED = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>
<item><g:id>205042570_242</g:id><g:title>Silk dress</g:title><g:price>1250.00 AED</g:price></item>
</channel></rss>
"""
OPTIONS = {"conditions": ["new", "used"], "genders": ["female", "male"], "brands": ["Noor", "Zari"]}
UPLOAD = {
    "file": "id,title,description,link,image link,price,availability,brand\n"
    "dress-1,Silk dress,A dress of silk,https://www.example.com/1,https://www.example.com/1.jpg,90 AED,in stock,Noor\n",
    "mode": "add",
}
RECEIVED = {
    "id": 7,
    "status": "received",
    "url": f"{SITE}/imports/7/",
    "message": "The file was received. The address in `url` says what becomes of it.",
}
PLAN_HASH = "5c6ffbdd40d9556b73a21e63c3e0e904d1bb0c8d9e9ea0a2fa4cf0bba5a4d6f5"
IMPORT: dict[str, Any] = {
    "id": 7,
    "url": f"{SITE}/imports/7/",
    "feed": "api",
    "mode": "add",
    "status": "review",
    "file_name": "summer.xml",
    "file_size": 48_213,
    "uploaded_by": "noor",
    "created_at": "2026-11-22T10:00:00Z",
    "finished_at": None,
    "bytes_read": 48_213,
    "counts": {
        "items": 20,
        "created": 17,
        "changed": 0,
        "unchanged": 0,
        "existing": 2,
        "duplicate": 0,
        "invalid": 1,
        "archived": 0,
        "conflict": 0,
    },
    "plan_hash": PLAN_HASH,
    "holds": [
        {"code": "feed.repaired", "message": "The file is not well-formed XML and was repaired while it was read."}
    ],
    "error": None,
    "issues_url": f"{SITE}/imports/7/issues/",
    "invalid_csv_url": f"{SITE}/imports/7/invalid.csv",
    "invalid_xml_url": f"{SITE}/imports/7/invalid.xml",
}
FEED: dict[str, Any] = {
    "slug": "noor",
    "name": "Noor",
    "mode": "update",
    "auto_apply": False,
    "address": "https://shop.example.com/feed.xml",
    "schedule": "every day at 05:30 Asia/Dubai",
    "last_new_at": "2026-11-22T01:30:04Z",
    "failing_since": None,
    "fetches_url": f"{SITE}/feeds/noor/fetches/",
}
FETCH: dict[str, Any] = {
    "id": 12,
    "url": f"{SITE}/feeds/noor/fetches/12/",
    "feed": "noor",
    "reason": "schedule",
    "outcome": "new",
    "code": "",
    "sentence": "A new file of 48,213 bytes: import 7.",
    "due_at": "2026-11-22T01:30:00Z",
    "started_at": "2026-11-22T01:30:02Z",
    "finished_at": "2026-11-22T01:30:04Z",
    "tries": 0,
    "status": 200,
    "bytes": 48_213,
    "seconds": 1.62,
    "import_url": f"{SITE}/imports/7/",
}
CHANGES: dict[str, Any] = {
    "version": 41,
    "cursor": "default.41",
    "next": None,
    "results": [
        {
            "version": 40,
            "id": PRODUCT["id"],
            "state": "listed",
            "cursor": "default.40.MjA1MDQyNTcwXzI0Mg",
            "product": PRODUCT,
        },
        {"version": 41, "id": "a/b", "state": "archived", "cursor": "default.41.YS9i", "product": None},
    ],
}
CHANGE_LINES = "".join(f"{json.dumps(change)}\n" for change in CHANGES["results"])
ISSUE = {
    "code": "price.format",
    "severity": "error",
    "attribute": "price",
    "count": 1,
    "title": "The price is not an amount",
    "advice": "Write it as 12.50 AED.",
    "examples": [{"line": 7, "id": "205042570_242", "found": "12,5O"}],
}
INVALID_CSV = (
    "line,id,code,severity,attribute,found,advice\n"
    '7,205042570_242,price.format,error,price,"12,5O",Write it as 12.50 AED.\n'
)
INVALID_XML = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>
<item><!-- error price.format: The price is not an amount: 12,5O -->
<g:id>205042570_242</g:id><g:title>Silk dress</g:title><g:price>12,5O</g:price></item>
</channel></rss>
"""
APPLY = {"plan_hash": PLAN_HASH, "reason": "I looked at what was repaired."}


def page(result: dict[str, Any]) -> dict[str, Any]:
    """A page of a list with this on it."""
    return {"count": 1, "total_pages": 1, "next": None, "previous": None, "results": [result]}
