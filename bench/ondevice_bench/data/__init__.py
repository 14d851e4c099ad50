"""Batches. The parent writes them as files of tensors before a worker starts."""
