"""Preprocessing, crops, masks and phantoms."""
