"""Trains, exports and evaluates the models of the extension."""
