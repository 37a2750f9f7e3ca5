"""Holding an import: one worker at a time, what it costs, and its files."""
