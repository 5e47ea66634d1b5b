"""`python -m aiocouch` is the command `aiocouch`."""

import sys

from aiocouch.cli import main

if __name__ == "__main__":
    sys.exit(main())
