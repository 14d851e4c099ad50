"""Files that users start from: a suite and a method that work as they are."""
