"""Compare policies on the same problems: the same as `autoloss evaluate`, from a checkout."""

import sys

from agents.command_line import main
from agents.commands.evaluate import evaluate

if __name__ == "__main__":
    sys.exit(main(evaluate))
