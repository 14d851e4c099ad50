"""Boards: their profiles, how a machine is recognised, and the state that it is in."""
