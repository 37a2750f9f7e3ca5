"""Measurements. Claims about speed live here as ratios against a floor or a peer of the same run."""
