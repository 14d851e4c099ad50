"""Two git refs against each other."""
