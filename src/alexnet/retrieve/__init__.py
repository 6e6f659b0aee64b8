"""Figure 4, right, and binary codes (section 6.1)."""
