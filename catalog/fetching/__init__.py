"""Feeds that arrive by themselves: what may be connected to, one module per protocol, and the fetch as an operation."""
