"""What people read: tables in the terminal, and the HTML page."""
