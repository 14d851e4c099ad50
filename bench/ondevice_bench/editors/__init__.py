"""JSON Schema of declarations, for editors. It is made from the schemas that read the files."""
