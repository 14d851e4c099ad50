"""Results in the terminal, one module for each verb."""
