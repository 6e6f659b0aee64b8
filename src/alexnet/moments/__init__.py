"""Compute the mean image and the RGB eigenpairs of the training set (sections 2 and 4.1)."""
