"""Draw a small ILSVRC-2012."""
