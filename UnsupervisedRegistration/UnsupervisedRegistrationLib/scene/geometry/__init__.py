"""Slice planes, volumes and transforms of the scene."""
