"""Files that are not well-formed XML: repaired where that needs no guess, else read item by item."""
