"""Find the raw images, their labels and their classes."""
