"""A Hugging Face Hub on loopback: enough of its protocol for the real client, with faults on request.

    python -m tests.hub --port 8899

    with Hub() as hub:
        hub.fault("POST", "/commit/", "drop-after")
        subprocess.run(command, env={**os.environ, **hub.environment(token=hub.writer)})
        assert hub.requests("POST", "/commit/") == 2

    wire.py          requests, replies, routes, faults: HTTP without a word about the Hub
    store.py         users, tokens, repos, commits: the Hub without a word about HTTP
    account.py oauth.py repos.py git.py lfs.py discussions.py jobs.py
                     the endpoints, one table of routes each
    server.py        puts them together; the only file that knows all others

A new part of the Hub is a file with a `routes` table and one more name in `server.ENDPOINTS`.
"""

from tests.hub.server import Hub

__all__ = ["Hub"]
