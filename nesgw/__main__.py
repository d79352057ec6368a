"""Entry point of ``nesgw`` and of ``python -m nesgw``."""

import sys

from nesgw.commands import main

if __name__ == "__main__":
    sys.exit(main())
