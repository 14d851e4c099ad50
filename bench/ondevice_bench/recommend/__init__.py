"""From measurements to a decision: which way to train a network on a board."""
