"""What tries to break the tool, again and again, with a seed for each try.

`python -m tests.campaign` runs all of it, which takes hours, and prints the table of
docs/reliability.md. `tox -e full` runs it, too. The ordinary tests run a sample.
"""
