"""The page:  python app.py [--port 7860] [--host 127.0.0.1] [--runs runs]

Starts unchanged as a Hugging Face Space.
"""

import argparse
import os
import sys
from pathlib import Path

from core.errors import UserError
from webui.page import launch
from webui.visitors import keeping_place


def main() -> int:
    # A Space shows what listens on all of its container's addresses; anywhere else that is the user's decision.
    on_a_space = "SPACE_ID" in os.environ
    host = "0.0.0.0" if on_a_space else "127.0.0.1"
    runs = (keeping_place() if on_a_space else None) or Path(os.environ.get("ATELIER_RUNS", "runs"))
    parser = argparse.ArgumentParser(description="Open the page.")
    parser.add_argument("--port", type=int, default=int(os.environ.get("GRADIO_SERVER_PORT", "7860")))
    parser.add_argument("--host", default=host)
    parser.add_argument("--runs", type=Path, default=runs, help="the folder in which runs are kept")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    chosen = parser.parse_args()
    try:
        launch(chosen.runs, chosen.host, chosen.port, chosen.open)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
