"""One module for each measured quantity. Everything here runs inside a worker."""
