"""Synthetic images and deformations."""
