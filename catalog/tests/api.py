"""The API as the cast meets it."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Product
from catalog.tests.factories import add_product

LIST = "/list-products/"
UPLOAD = "/upload-products/"


def client(user: User) -> APIClient:
    """What the user sends requests with."""
    api = APIClient()
    api.force_authenticate(user)
    return api


def product(id: str, **values: Any) -> Product:
    """A product of the catalogue about which there is nothing to say."""
    usual = {"title": "Silk dress", "brand": "Noor", "price": 100, "currency": "AED", "condition": "new"}
    return add_product(id=id, **{**usual, **values})


def ids(response: Any) -> list[str]:
    """The ids on a page of the list, in its order."""
    assert response.status_code == 200, response.content
    return [result["id"] for result in response.json()["results"]]


def upload(api: APIClient, content: bytes, name: str = "feed.xml", headers: Any = None, **fields: Any) -> Any:
    """What the upload answers; `fields` are the rest of the form."""
    form = {"file": SimpleUploadedFile(name, content), **fields}
    return api.post(UPLOAD, form, format="multipart", headers=headers)
