"""Benchmark and profile the training of neural networks on small devices."""

__version__ = "0.1.0"
