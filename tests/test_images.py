"""Images are pinned by the digests that their registry says, in place of earlier ones."""

from devservers import BASE_DIR
from tests.images import FILES, IMAGE, pinned


def test_each_image_gets_its_digest_and_a_new_one_in_place_of_an_old_one() -> None:
    text = "".join((BASE_DIR / name).read_text() for name in FILES)
    names = {found[1] for found in IMAGE.findall(text)}
    assert {name.partition(":")[0] for name in names} == {"python", "nginx", "postgres", "valkey/valkey"}
    first, second = (dict.fromkeys(names, f"sha256:{digit * 64}") for digit in "ab")
    once = pinned(text, first)
    assert once.count("@sha256:aaaa") == len(IMAGE.findall(text)) == 5
    assert pinned(once, second) == once.replace("a" * 64, "b" * 64)
    assert "image: ounass-product-management\n" in once  # ours is built
