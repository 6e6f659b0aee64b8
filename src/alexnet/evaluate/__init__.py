"""Predictions of a split, errors with their intervals, and ensembles (section 6)."""
