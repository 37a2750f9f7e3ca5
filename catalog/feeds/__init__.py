"""A file → cleaned items and issues. No Django, no database, no network, no clock."""
