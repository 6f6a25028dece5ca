"""What is measured of a model, and whether it can be believed."""
