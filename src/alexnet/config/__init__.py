"""Hydra configuration of the stages."""
