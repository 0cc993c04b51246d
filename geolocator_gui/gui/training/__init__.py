"""The Training page: form, queue, live curves, publishing and comparing."""
