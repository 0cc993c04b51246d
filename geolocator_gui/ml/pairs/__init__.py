"""Pairs of a photo and its chip: read, generated, planned into batches, augmented."""
