"""What the command and Python programs share: measure a suite, compare two runs."""
