"""Measurements: frozen records, and the store that holds them."""
