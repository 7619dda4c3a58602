"""Grids, filters and displacement fields."""
