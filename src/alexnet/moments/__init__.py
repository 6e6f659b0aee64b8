"""The mean image and the RGB eigenpairs of the training set."""
