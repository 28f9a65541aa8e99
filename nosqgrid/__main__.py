"""python3 -m nosqgrid: see nosqgrid/cli/main.py."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
