"""Resize the raw images to 256×256 RGB and store them in shards (section 2)."""
