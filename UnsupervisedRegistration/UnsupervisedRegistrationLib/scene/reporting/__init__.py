"""Sentences and figures about a result."""
