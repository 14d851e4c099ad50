"""`python -m ondevice_bench` is the command `bench`."""

from ondevice_bench.cli import main

main()
