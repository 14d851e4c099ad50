"""Reports for people: tables in the terminal, and the HTML page."""
