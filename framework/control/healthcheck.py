"""`python -m framework.control.healthcheck [URL]`, as container files name it: see `framework.ops.healthcheck`."""

import sys

from framework.ops.healthcheck import main

if __name__ == "__main__":
    sys.exit(main())
