"""``python -m dendrosim``: the command line, where no script is on the path."""

import sys

from dendrosim.cli.commands import main

sys.exit(main())
