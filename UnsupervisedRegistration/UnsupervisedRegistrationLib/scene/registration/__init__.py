"""Slices, volumes and sequences of the scene, registered."""
