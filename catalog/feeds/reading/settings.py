"""What a feed's settings add to what its files say themselves."""

from dataclasses import dataclass

from catalog.feeds.reading.encodings import UTF_8


@dataclass(frozen=True, slots=True)
class FileSettings:
    """How a feed's files are read.

    A table is in `encoding` unless its bytes show another one. `sheet` is the one to read in a workbook. `item_element`
    is the name of the elements that are items in XML. `aliases` are pairs of a name in this shop and its attribute.
    """

    encoding: str = UTF_8
    sheet: str = ""
    item_element: str = ""
    aliases: tuple[tuple[str, str], ...] = ()


UNSET = FileSettings()
