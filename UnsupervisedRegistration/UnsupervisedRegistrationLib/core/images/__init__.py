"""From images as they come to what a network takes."""
