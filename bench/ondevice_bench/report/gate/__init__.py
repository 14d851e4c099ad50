"""What a gate decided, for people who are not at its terminal: Markdown, JUnit, a page, GitHub."""
