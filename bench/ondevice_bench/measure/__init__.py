"""What is measured, one module a quantity; everything here runs inside a worker."""
