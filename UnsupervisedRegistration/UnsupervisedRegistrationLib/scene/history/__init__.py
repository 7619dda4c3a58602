"""Earlier results that the scene keeps."""
