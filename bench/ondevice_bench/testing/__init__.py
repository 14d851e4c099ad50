"""What the pytest plugin loads when a session uses it."""
