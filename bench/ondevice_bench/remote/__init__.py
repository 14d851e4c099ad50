"""Boards on the network: a desk and a board speak through a pipe, which `ssh` carries."""
