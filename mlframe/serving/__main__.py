"""`python -m mlframe.serving SETTINGS.json`: a prediction server without the command line's weight."""

from __future__ import annotations

import sys

from mlframe.serving.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
