"""`python -m studies.image_gan`."""

import sys

from agents.command_line import main
from studies.image_gan.study import run

if __name__ == "__main__":
    sys.argv[0] = "python -m studies.image_gan"  # the name in help and errors, for __main__.py
    sys.exit(main(run))
