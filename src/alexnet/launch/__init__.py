"""Run a stage on several processes or a free GPU."""
