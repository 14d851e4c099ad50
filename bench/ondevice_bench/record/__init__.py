"""What was measured: frozen records, and the store that keeps them."""
