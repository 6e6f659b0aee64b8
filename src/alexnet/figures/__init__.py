"""The figures of a run: the paper's figures 3 and 4, and those of the report."""
