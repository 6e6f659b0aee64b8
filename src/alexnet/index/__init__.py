"""Index the raw images: their places in the archives, labels and classes."""
