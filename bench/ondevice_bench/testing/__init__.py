"""What the pytest plugin loads once it is asked for something."""
