"""`python -m studies.image_gan`."""

import sys

from agents.interruption import start_command

if __name__ == "__main__":
    sys.argv[0] = "python -m studies.image_gan"  # the name in help and errors, for __main__.py
    sys.exit(start_command("studies.image_gan.study:run"))
