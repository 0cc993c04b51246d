"""Imagery sources: places satellite pixels come from, one file each."""
