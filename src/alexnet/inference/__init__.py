"""Section 4.1 at test time: ten views, top-k labels."""
