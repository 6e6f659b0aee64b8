"""The raw bytes of one image, read by archive and offset."""
