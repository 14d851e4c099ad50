from pathlib import Path

import pytest

from ondevice_bench import allocators
from ondevice_bench.hardware import allocator_libraries as libraries

OWN = {"glibc", "glibc-mmap-128k"}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A root folder with these libraries."""

    def make(*names):
        for name in names:
            path = tmp_path / "usr/lib/some-linux-gnu" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    monkeypatch.setattr(libraries.sysconfig, "get_config_var", lambda _: "some-linux-gnu")
    return make


def test_what_is_missing_names_the_package_to_install(installed):
    reasons = libraries.missing_allocators({}, installed("libjemalloc.so.2"))
    assert reasons == {
        "tcmalloc": "tcmalloc is not installed here: sudo apt-get install libtcmalloc-minimal4 "
        "(in newer releases libtcmalloc-minimal4t64)",
        "mimalloc": "mimalloc is not installed here: sudo apt-get install libmimalloc2.0 "
        "(in newer releases libmimalloc3)",
    }


def test_either_file_name_of_a_library_will_do(installed):
    root = installed("libmimalloc.so.3")
    found = libraries.library_of(allocators.BY_NAME["mimalloc"], {}, root)
    assert found == root / "usr/lib/some-linux-gnu/libmimalloc.so.3"


def test_a_library_of_the_users_own_folder_goes_first(tmp_path):
    own = tmp_path / "libjemalloc.so.2"
    own.touch()
    environment = {"LD_LIBRARY_PATH": f"/none:{tmp_path}"}
    assert libraries.library_of(allocators.BY_NAME["jemalloc"], environment) == own


def test_what_the_user_preloads_stays_behind_the_allocator(tmp_path):
    own = tmp_path / "libjemalloc.so.2"
    own.touch()
    environment = {"LD_LIBRARY_PATH": str(tmp_path), "LD_PRELOAD": "/a/libone.so /b/libtwo.so"}
    found = libraries.variables_of("jemalloc", environment)
    assert found == {"LD_PRELOAD": f"{own}:/a/libone.so:/b/libtwo.so"}
    assert libraries.variables_of("", environment) == {}
    assert libraries.variables_of("glibc", environment) == {}
    assert libraries.variables_of("glibc-mmap-128k", environment) == {
        "MALLOC_MMAP_THRESHOLD_": "131072"
    }


def test_two_allocators_at_once_are_refused(installed):
    environment = {"LD_PRELOAD": "/opt/libtcmalloc.so.4"}
    reasons = libraries.missing_allocators(environment, installed("libjemalloc.so.2"))
    assert set(reasons) == set(allocators.BY_NAME)
    assert reasons["jemalloc"] == (
        "LD_PRELOAD of your environment has an allocator already (/opt/libtcmalloc.so.4), so a "
        "process cannot have jemalloc: unset LD_PRELOAD, or name no allocator"
    )


def test_every_library_of_the_table_is_known_as_an_allocator():
    names = [name for each in allocators.ALL for name in each.libraries]
    assert all(map(allocators.replaces_malloc, names))
    assert not allocators.replaces_malloc(Path("libcuda.so").name)
    assert {each.name for each in allocators.ALL if not each.libraries} == OWN
