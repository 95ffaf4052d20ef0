"""`python -m eyeground` is `eyeground`."""

import sys

from eyeground.cli.main import main

sys.exit(main())
