"""The acts as tools of MCP clients."""

import json
from typing import Any

from core.errors import UserError

EXTRA = "mcp==1.30.0"


def welcome_mcp(signing_in: bool, share: bool = False) -> None:
    """Before `launch(mcp_server=True)`. UserError if MCP clients cannot be answered: for want of the package, where people
    sign in, since gradio does not ask these clients who they are, and at a public address."""
    if signing_in:
        raise UserError(
            "--mcp would let in whoever has no password: leave out --auth, and listen on this machine alone."
        )
    if share:
        raise UserError(
            "--mcp does not go with --share: anybody who has the public address could use the tools. Leave one of them out."
        )
    try:
        from gradio.mcp import GradioMCPServer
        from mcp.types import TextContent
    except ImportError:
        raise UserError(f"--mcp needs the package mcp, which is not installed: pip install {EXTRA}") from None

    def in_json(server: GradioMCPServer, output: list[Any], root_url: str) -> list[TextContent]:
        words = (each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in output)
        return [TextContent(type="text", text=each) for each in words]

    # By itself it tells what an act returns as Python prints it.
    GradioMCPServer.postprocess_output_data = in_json
