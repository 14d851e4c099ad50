"""Batches: prepared by the parent before a worker starts, handed over as a file of tensors."""
