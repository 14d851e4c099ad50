"""The passes, one module each, so that a worker carries only its own."""
