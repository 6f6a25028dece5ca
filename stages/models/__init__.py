"""A cell of the grid, its networks, and the devices that they run on."""
