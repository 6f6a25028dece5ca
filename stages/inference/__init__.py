"""What a trained model takes sounds for: front end and network in one, outside of the pipeline too."""
