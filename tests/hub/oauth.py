"""Signing in: the hub as an identity provider (OpenID Connect), for the Spaces that are registered with it.

    space = hub.register("ada/atelier", "http://127.0.0.1:7860")
    subprocess.run([..., "app.py"], env={**os.environ, **space.environment(hub)})

Who signs in chooses on the page of consent who they are; a token then may do what the Space asked for and no more.
"""

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from functools import cache
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.hub.store import Token
from tests.hub.wire import HubError, Reply, Request, Routes

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey

    from tests.hub.server import Hub

routes = Routes()


@dataclass
class Space:
    """A Space as the Hub knows it: who may send people here to sign in, for what, and where they go back to."""

    id: str
    url: str
    scopes: str = "openid profile contribute-repos read-repos jobs"
    token_seconds: int = 24 * 3600
    client_id: str = field(default_factory=lambda: secrets.token_hex(8))
    client_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    made: set[str] = field(default_factory=set)  # repos created in it, by whoever signed in
    codes: dict[str, dict[str, str]] = field(default_factory=dict)  # given out and not yet exchanged

    def environment(self, hub: "Hub") -> dict[str, str]:
        """What the Hub sets in the Space's container, beside what a client needs to reach this hub."""
        return hub.environment() | {
            "SYSTEM": "spaces",
            "SPACE_ID": self.id,
            "OAUTH_CLIENT_ID": self.client_id,
            "OAUTH_CLIENT_SECRET": self.client_secret,
            "OAUTH_SCOPES": self.scopes,
            "OPENID_PROVIDER_URL": hub.url,
        }


@dataclass
class Granted(Token):
    """What a visitor of a Space let it do in their name: with `contribute-repos`, make repos and write to those alone."""

    space: Space | None = None
    scope: str = ""

    def writes(self, id: str) -> bool:
        named = self.scope.split()
        if not self.user.writes_in(id.split("/")[0]):
            return False
        return "write-repos" in named or ("contribute-repos" in named and id in self.space.made)

    def creates(self, id: str) -> bool:
        return "contribute-repos" in self.scope.split() and self.user.writes_in(id.split("/")[0])

    def has_created(self, id: str) -> None:
        self.space.made.add(id)


@routes("GET", "/.well-known/openid-configuration")
def describe(hub: "Hub", request: Request) -> Reply:
    return Reply(
        {
            "issuer": hub.url,
            "authorization_endpoint": f"{hub.url}/oauth/authorize",
            "token_endpoint": f"{hub.url}/oauth/token",
            "userinfo_endpoint": f"{hub.url}/oauth/userinfo",
            "jwks_uri": f"{hub.url}/oauth/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }
    )


@routes("GET", "/oauth/jwks")
def show_keys(hub: "Hub", request: Request) -> Reply:
    return Reply({"keys": [_key().as_dict(private=False)]})


@routes("GET", "/oauth/authorize")
def ask_for_consent(hub: "Hub", request: Request) -> Reply:
    space, asked = _asked(hub, request)
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in asked.items()
    )
    buttons = "".join(f'<button name="user" value="{name}">Sign in as {name}</button>' for name in hub.users)
    wanted = "".join(f"<li>{escape(scope)}</li>" for scope in asked["scope"].split())
    page = (
        f"<!doctype html><link rel=icon href='data:,'><title>Sign in</title><h1>{escape(space.id)} asks for</h1><ul>{wanted}</ul>"
        f'<form method="post" action="/oauth/authorize">{fields}{buttons}</form>'
    )
    return Reply(page.encode(), headers={"Content-Type": "text/html"})


@routes("POST", "/oauth/authorize")
def consent(hub: "Hub", request: Request) -> Reply:
    form = {name: request.form(name)[-1] for name in ("client_id", "redirect_uri", "scope", "state", "user")}
    form["nonce"] = (request.form("nonce") or [""])[-1]
    space = hub.spaces[form["client_id"]]
    code = secrets.token_urlsafe(16)
    space.codes[code] = form
    joined = "&" if "?" in form["redirect_uri"] else "?"
    back = f"{form['redirect_uri']}{joined}{urlencode({'code': code, 'state': form['state']})}"
    return Reply(b"", 303, {"Location": back})


@routes("POST", "/oauth/token")
def exchange(hub: "Hub", request: Request) -> Reply:
    """A code is good once, for the Space that it was given to, at the address that it was given to."""
    scheme, _, told = request.headers.get("Authorization", "").partition(" ")
    client_id, _, secret = (
        base64.b64decode(told).decode().partition(":") if scheme == "Basic" else ("", "", "")
    )
    space = hub.spaces.get(client_id)
    if not space or secret != space.client_secret:
        return Reply({"error": "invalid_client"}, 401)
    given = space.codes.pop(request.form("code")[-1], None)
    if given is None or given["redirect_uri"] != request.form("redirect_uri")[-1]:
        return Reply({"error": "invalid_grant"}, 400)
    now = int(time.time())
    token = f"hf_oauth_{secrets.token_hex(12)}"
    user = hub.users[given["user"]]
    hub.tokens[token] = Granted(
        user, "oauth", expires=now + space.token_seconds, space=space, scope=given["scope"]
    )
    claims = _profile(hub, user.name) | {
        "iss": hub.url,
        "aud": client_id,
        "iat": now,
        "exp": now + 3600,
        "nonce": given["nonce"],
    }
    return Reply(
        {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": space.token_seconds,
            "scope": given["scope"],
            "id_token": _signed(claims),
        }
    )


@routes("GET", "/oauth/userinfo")
def who(hub: "Hub", request: Request) -> Reply:
    return Reply(_profile(hub, hub.require(request).user.name))


def _asked(hub: "Hub", request: Request) -> tuple[Space, dict[str, str]]:
    names = ("client_id", "redirect_uri", "scope", "state", "nonce")
    asked = {name: request.parameter(name) or "" for name in names}
    space = hub.spaces.get(asked["client_id"])
    if space is None or not asked["redirect_uri"].startswith(f"{space.url}/login/callback"):
        raise HubError(400, "This address is not registered for that application.")
    if not set(asked["scope"].split()) <= set(space.scopes.split()):
        raise HubError(400, "The application asks for more than it is registered for.")
    return space, asked


def _profile(hub: "Hub", name: str) -> dict[str, str]:
    user = hub.users[name]
    return {
        "sub": user.id,
        "name": name.title(),
        "preferred_username": name,
        "profile": f"{hub.url}/{name}",
        "picture": f"{hub.url}/avatars/{name}.svg",
    }


def _signed(claims: dict[str, object]) -> str:
    from joserfc import jwt

    return jwt.encode({"alg": "RS256", "kid": _key().kid}, json.loads(json.dumps(claims)), _key())


@cache
def _key() -> "RSAKey":
    from joserfc.jwk import RSAKey

    return RSAKey.generate_key(2048, {"kid": "tests"})
