"""Work in cells: each is plain values, is played wherever there is room, and is one file."""
