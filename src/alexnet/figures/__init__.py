"""Arrays in, pictures out."""
