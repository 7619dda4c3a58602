"""Metrics and the quality check."""
