"""Sizes that the parent and the zygote share."""

PACKET_BYTES = 1 << 16  # the largest message on the zygote's socket
