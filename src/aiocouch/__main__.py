"""`python -m aiocouch` is the command `aiocouch`."""

import sys

from _aiocouch_command import main

if __name__ == "__main__":
    sys.exit(main())
