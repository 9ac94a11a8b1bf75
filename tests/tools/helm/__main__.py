"""`python -m tests.tools.helm`: build the helm of the tests, if need be, and say where it is."""

import sys

from tests.localkube import LocalKubeError
from tests.tools.helm import program

try:
    sys.stdout.write(f"{program().ensure()}\n")
except LocalKubeError as error:
    sys.exit(f"helm cannot be built: {error}")
