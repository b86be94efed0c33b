"""Train an agent to steer training: the same as `autoloss train`, from a checkout."""

import sys

from agents.command_line import main
from agents.commands.train import train

if __name__ == "__main__":
    sys.exit(main(train))
