"""A received file → staged items."""
