"""Speed of this package beside other libraries: `python -m benchmarks.peers`.

Each of these runs in a process and a virtual environment of its own; `make peers` makes them from
the constraints files in this folder.
"""
