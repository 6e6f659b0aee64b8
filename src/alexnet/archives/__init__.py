"""Raw bytes of one image, by archive and offset."""
