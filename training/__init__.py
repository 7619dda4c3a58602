"""Makes the model files: synthesised pairs in, a trained and described model out."""
