"""A file's bytes → raw items."""
