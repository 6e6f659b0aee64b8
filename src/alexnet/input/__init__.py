"""Section 4.1 in training: image order, random crops, reflections and colour shifts."""
