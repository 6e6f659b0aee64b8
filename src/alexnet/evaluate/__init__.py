"""Predictions, errors and their intervals."""
