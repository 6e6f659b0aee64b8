"""This project's results beside the paper's tables."""
