"""The demo world: a town as geometry, rendered from above and from the street."""
