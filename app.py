"""The page:  python app.py [--port 7860] [--host 127.0.0.1] [--runs runs] [--open]; all of its options are those of
`atelier ui`, which opens a browser, too.

Starts unchanged as a Hugging Face Space.
"""

import sys

from core.cli import main

if __name__ == "__main__":
    given = sys.argv[1:]
    quietly = [] if {"--open", "--browser", "--no-browser"} & {*given} else ["--no-browser"]
    raise SystemExit(main(["ui", *given, *quietly]))
