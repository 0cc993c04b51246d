"""Areas, chip grid, imagery sources, tile cache and photo metadata."""
