"""Sizes that the parent and the zygote share."""

# the largest message on the zygote's socket. The system takes none that is larger than some 200 KB.
# A larger job, as one with the ranks of thousands of layers, is in a file, and its text is empty
PACKET_BYTES = 1 << 17
