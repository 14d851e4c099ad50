"""Proofs that a board is measured correctly, and whether a Raspberry Pi has passed them."""
