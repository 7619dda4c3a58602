"""The stages of the pipeline: each takes the state that the former left, and returns the next."""
