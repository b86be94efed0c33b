"""`python -m studies.surfaces`."""

import sys

from agents.command_line import main
from studies.surfaces.experiments import run

if __name__ == "__main__":
    sys.exit(main(run))
