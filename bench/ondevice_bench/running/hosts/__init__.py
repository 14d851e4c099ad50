"""Where workers run, and how they are started."""
