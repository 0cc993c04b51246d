"""Weights files: looked into before anything reads them, and what is known of released ones."""
