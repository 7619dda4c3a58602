"""Landmarks and their target registration error."""
