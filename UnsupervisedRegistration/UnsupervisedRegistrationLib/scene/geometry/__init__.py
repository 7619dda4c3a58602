"""Slice planes, volumes and transforms."""
