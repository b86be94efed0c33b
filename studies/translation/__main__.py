"""`python -m studies.translation`."""

import sys

from agents.interruption import start_command

if __name__ == "__main__":
    sys.argv[0] = "python -m studies.translation"  # the name in help and errors, for __main__.py
    sys.exit(start_command("studies.translation.study:run"))
