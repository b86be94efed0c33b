"""`python -m studies.tables`."""

import sys

from agents.command_line import main
from studies.tables.study import make_tables

if __name__ == "__main__":
    sys.argv[0] = "python -m studies.tables"  # the name in help and errors, for __main__.py
    sys.exit(main(make_tables))
