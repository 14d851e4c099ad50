"""Torch-free descriptions of methods and models: names, options, where the implementation is."""
