"""The net of section 3."""
