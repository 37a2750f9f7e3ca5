"""What holds for every request."""

import pytest
from django.test import Client


@pytest.mark.parametrize(
    "address", ["/admin/login/?next=%00", "/admin/catalog/product/?availability__exact=%00", "/%00"]
)
def test_a_nul_in_the_address_is_refused_in_words(client: Client, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 400
    assert b"NUL" in answer.content


def test_the_health_check_touches_nothing(client: Client) -> None:
    answer = client.get("/health-check/")
    assert answer.json() == {"status": "ok"}
