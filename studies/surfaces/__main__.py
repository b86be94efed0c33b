"""`python -m studies.surfaces`."""

import sys

from agents.command_line import main
from studies.surfaces.study import run

if __name__ == "__main__":
    sys.argv[0] = "python -m studies.surfaces"  # the name in help and errors, for __main__.py
    sys.exit(main(run))
