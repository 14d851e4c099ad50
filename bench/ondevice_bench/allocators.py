"""The table of memory allocators that a measured process can run with.

An allocator is a condition of the launch, as the number of threads is. Its library must be in the
process before any other code runs, so the system loads it first (LD_PRELOAD).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Allocator:
    """An allocator; without `libraries` it is the one of the C library."""

    name: str
    description: str
    libraries: tuple[str, ...] = ()  # file names, the preferred one first
    packages: tuple[str, ...] = ()  # of Debian and its relatives: one of them has the library
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)


ALL = (
    Allocator("glibc", "the allocator of the C library, with its own thresholds"),
    Allocator(
        "glibc-mmap-128k",
        "the allocator of the C library: blocks of 128 KiB and more always get pages of their own",
        environment={"MALLOC_MMAP_THRESHOLD_": str(128 << 10)},
    ),
    Allocator(
        "tcmalloc",
        "gperftools' allocator",
        ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4"),
        ("libtcmalloc-minimal4", "libtcmalloc-minimal4t64"),
    ),
    Allocator(
        "mimalloc",
        "Microsoft's allocator",
        ("libmimalloc.so.2", "libmimalloc.so.3"),
        ("libmimalloc2.0", "libmimalloc3"),
    ),
    Allocator("jemalloc", "FreeBSD's allocator", ("libjemalloc.so.2",), ("libjemalloc2",)),
)
BY_NAME: Mapping[str, Allocator] = {each.name: each for each in ALL}
# a process without a named allocator has that of the C library, unless its user preloads another
DEFAULT = ("", "glibc")
# the one that is always there and returns each large block to the system
GIVES_BACK = "glibc-mmap-128k"
# the beginnings of file names of libraries that are allocators
_STEMS = ("libtcmalloc", "libmimalloc", "libjemalloc", "libhoard", "libsnmalloc", "librpmalloc")


def replaces_malloc(library: str) -> bool:
    """Whether the file name is that of an allocator."""
    return library.startswith(_STEMS)
