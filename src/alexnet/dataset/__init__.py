"""Formats on disk that stages share."""
