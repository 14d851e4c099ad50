"""The messages between the parent and its workers. Standard library only.

A worker may run the code of another commit (`bench ab`), so the protocol has a version. It covers
the names of the worker's modules, their arguments, the packets of the zygote, jobs, questions and
replies.
Raise `VERSION` with every change that the other side would misread.
"""

VERSION = 5
