"""Entry point of ``nesgw`` and of ``python -m nesgw``."""

import sys

from nesgw.cli import main

if __name__ == "__main__":
    sys.exit(main())
