"""Bundles, encoder, index, localisation, training and mining."""
