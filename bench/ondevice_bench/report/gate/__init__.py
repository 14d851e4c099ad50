"""The decision of a gate outside the terminal: as Markdown, JUnit, a page, and for GitHub."""
