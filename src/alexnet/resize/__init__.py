"""Raw images → 256×256 RGB in shards (section 2)."""
