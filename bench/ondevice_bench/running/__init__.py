"""The parent: it plans, starts workers in their order, and stores what they measure."""
