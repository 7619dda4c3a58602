"""Nodes that are taken along with a registration: segmentations, models, markups and further volumes."""
