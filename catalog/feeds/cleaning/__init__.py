"""A raw item → a cleaned item with its issues."""
