"""Staged items and the catalogue → the plan."""
