"""The embedded map."""
