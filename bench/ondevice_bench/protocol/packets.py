"""Sizes that the parent and the zygote share."""

# the largest message on the zygote's socket: a job with the ranks of a thousand layers. The system
# takes no message that is larger than some 200 KB
PACKET_BYTES = 1 << 17
