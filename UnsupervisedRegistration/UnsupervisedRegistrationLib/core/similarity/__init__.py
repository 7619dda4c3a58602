"""Losses, the forces derived from them, and intensity mappings between contrasts."""
