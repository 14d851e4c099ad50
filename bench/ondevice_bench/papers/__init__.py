"""Published claims: the papers' numbers, the numbers here, and the verdict on each."""
