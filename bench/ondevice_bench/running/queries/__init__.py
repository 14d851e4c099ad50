"""Questions to a process of its own: about models, methods, and this machine."""
