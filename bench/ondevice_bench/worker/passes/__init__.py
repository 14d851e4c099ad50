"""One module for each pass, so that a worker imports only its own."""
