"""Comparison with other methods."""
