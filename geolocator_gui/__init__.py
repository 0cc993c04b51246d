"""Geolocator: find where a photo was taken by matching it against satellite imagery."""

__version__ = "0.1.0"
