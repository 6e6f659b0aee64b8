"""Sections 4.2 and 5: the training loop."""
