"""`python -m studies.weightings`."""

import sys

from agents.interruption import start_command

if __name__ == "__main__":
    sys.argv[0] = "python -m studies.weightings"  # the name in help and errors, for __main__.py
    sys.exit(start_command("studies.weightings.study:run"))
