"""Who am I, and what may I do there."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.hub.wire import HubError, Reply, Request, Routes

if TYPE_CHECKING:
    from tests.hub.server import Hub

routes = Routes()


@routes("GET", "/api/whoami-v2")
def whoami(hub: "Hub", request: Request) -> Reply:
    token = hub.require(request)
    user = token.user
    scoped = [
        {"entity": {"type": "user", "name": name}, "permissions": rights}
        for name, rights in token.scopes.items()
    ]
    access = {"displayName": "a token", "role": token.role}
    if token.role == "fineGrained":
        access["fineGrained"] = {"global": [], "scoped": scoped}
    auth = {"type": "oauth"} if token.role == "oauth" else {"type": "access_token", "accessToken": access}
    if token.expires:
        auth["expiresAt"] = datetime.fromtimestamp(token.expires, UTC).isoformat()
    return Reply(
        {
            "type": "user",
            "id": user.id,
            "name": user.name,
            "fullname": user.name.title(),
            "isPro": user.can_pay,
            "canPay": user.can_pay,
            "orgs": [{"type": "org", "name": name, "roleInOrg": role} for name, role in user.roles.items()],
            "auth": auth,
        }
    )


@routes("GET", "{api}/auth-check")
def check_reading(hub: "Hub", request: Request, type: str, id: str) -> Reply:
    if hub.readable(request, type, id).gated:
        raise HubError(403, "You have not accepted the conditions of this repository.", "GatedRepo")
    return Reply(b"OK")


@routes("GET", "{api}/auth-check/write")
def check_writing(hub: "Hub", request: Request, type: str, id: str) -> Reply:
    hub.writable(request, type, id)
    return Reply(b"OK")


@routes("GET", "/api/telemetry/.*")
def refuse_telemetry(hub: "Hub", request: Request) -> Reply:
    raise HubError(403, "Telemetry was to be off.")


@routes("GET", "/api/agent-harnesses")
def list_agent_harnesses(hub: "Hub", request: Request) -> Reply:
    return Reply({"standardEnvVars": [], "harnesses": {}})
