"""Compare policies on the same problems: the same as `autoloss evaluate`, from a checkout."""

import sys

from agents.interruption import start_command

if __name__ == "__main__":
    sys.exit(start_command("agents.commands.evaluate:evaluate"))
