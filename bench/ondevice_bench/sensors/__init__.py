"""What the system shows of a machine from second to second. Standard library only.

The parent and the workers both read it. All files are read below a root, so that a folder can
replace another machine.
"""
