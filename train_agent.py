"""Train an agent to steer training: the same as `autoloss train`, from a checkout."""

import sys

from agents.interruption import start_command

if __name__ == "__main__":
    sys.exit(start_command("agents.commands.train:train"))
