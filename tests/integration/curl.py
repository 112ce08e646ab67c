"""What the README uses of `curl`, so that its examples run also where there is none.

It knows `-sS`, `-H`, `-d` and `-u`, and prints a line break behind every answer.
"""

import argparse
import base64
from urllib.error import HTTPError
from urllib.request import Request, urlopen

SECONDS = 60


def main() -> None:
    """Send one request and print its answer, whatever its status."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-sS", action="store_true", required=True)
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="data", action="append", default=[])
    parser.add_argument("-u", dest="login")
    parser.add_argument("url")
    given = parser.parse_args()
    headers = dict(header.split(": ", 1) for header in given.headers)
    if given.login:
        headers["authorization"] = f"Basic {base64.b64encode(given.login.encode()).decode()}"
    body = "&".join(given.data).encode() if given.data else None
    try:
        with urlopen(Request(given.url, body, headers), timeout=SECONDS) as response:
            print(response.read().decode())
    except HTTPError as error:
        print(error.read().decode())


if __name__ == "__main__":
    main()
