"""`python -m studies.intro_vae`."""

import sys

from agents.interruption import start_command

if __name__ == "__main__":
    sys.argv[0] = "python -m studies.intro_vae"  # the name in help and errors, for __main__.py
    sys.exit(start_command("studies.intro_vae.study:run"))
