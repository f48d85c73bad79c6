"""Serves a hub to try things on by hand.

python -m tests.hub --port 8899
"""

import argparse
import time

from tests.hub.server import Hub


def main() -> None:
    parser = argparse.ArgumentParser(description="A Hugging Face Hub on loopback, in memory.")
    parser.add_argument("--port", type=int, default=8899)
    with Hub(port=parser.parse_args().port) as hub:
        for name, text in hub.environment(token=hub.writer).items():
            print(f"export {name}={text}")
        print(
            f"# Other tokens: ada, reading only: {hub.reader}; ada, expired: {hub.expired}; bob: {hub.other}",
            flush=True,
        )
        shown = 0
        try:
            while True:
                time.sleep(0.2)
                for entry in hub.log[shown:]:
                    status, user = entry.status or "dropped", entry.user or "anonymous"
                    print(f"# {status} {user} {entry.method} {entry.path}", flush=True)
                    shown += 1
        except KeyboardInterrupt:
            print("# Stopped; everything in it is forgotten.")


if __name__ == "__main__":
    main()
