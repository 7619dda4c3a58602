"""What every user interface shares, free of Qt."""
