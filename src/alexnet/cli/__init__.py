"""The command `alexnet`."""
