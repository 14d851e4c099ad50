"""Many boards measure one suite."""
