"""Slice views, overlays and maps."""
