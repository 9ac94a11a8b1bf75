# ruff: noqa: INP001 - a program, not a package
"""What an application does with a token: read one purchase order.

    MAKINI_URL=… MAKINI_TOKEN=… python3 examples/read_order.py po-001

Both values are in the connection's Secret (keys `url` and `token`). They come in the environment,
never on the command line, which every process of the computer can read.
"""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

SHOWN = ("orderNo", "statusKey", "vendorKey", "totalGrossValue", "currencyKey")


def main() -> int:
    """Print the order in one line; with an error of the API, print that and return 1."""
    url = f"{os.environ['MAKINI_URL']}/api/erp/purchase-orders/{urllib.parse.quote(sys.argv[1], safe='')}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {os.environ['MAKINI_TOKEN']}"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - the URL is the operator's own
            order = json.load(response)["data"]
    except urllib.error.HTTPError as error:
        sys.stdout.write(f"{error.code} {json.load(error)['message']}\n")
        return 1
    sys.stdout.write("  ".join(str(order[name]) for name in SHOWN) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
