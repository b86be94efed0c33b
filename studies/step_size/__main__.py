"""`python -m studies.step_size`."""

import sys

from agents.interruption import start_command

if __name__ == "__main__":
    sys.argv[0] = "python -m studies.step_size"  # the name in help and errors, for __main__.py
    sys.exit(start_command("studies.step_size.study:run"))
