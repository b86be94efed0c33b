"""`python -m studies.image_gan`."""

import sys

from agents.command_line import main
from studies.image_gan.study import run

if __name__ == "__main__":
    sys.exit(main(run))
