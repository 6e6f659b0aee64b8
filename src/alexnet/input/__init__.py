"""Section 4.1 in training: order, crops, reflections and colour shifts."""
