"""The official Python client, over stdio or HTTP: prints what each connection saw, or its error, as a line of JSON.

One process makes all connections, because it takes longer to load the client than to use it. Arguments: the project and
the server's URL, then the command of a server over stdio. Standard input has a line for each connection: its transport
and its mode.
"""

import asyncio
import json
import os
import sys
import traceback

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client


async def look(client, project):
    tools = await client.list_tools()
    stacks = await client.call_tool("list_stacks", {})
    started = await client.call_tool("start_stack", {"project": project, "folder": project})
    refused = await client.call_tool("get_logs", {"project": project, "tail": 0})
    logs = await client.call_tool("get_logs", {"project": project, "tail": 5})
    resource = await client.read_resource(f"stack://{project}/health")
    prompts = await client.list_prompts()
    return {
        "protocol": client.protocol_version,
        "server": client.server_info.name,
        "tools": [tool.name for tool in tools.tools],
        "stacks": stacks.structured_content,
        "status": started.structured_content["status"],
        "refused": [refused.is_error, refused.structured_content["code"]],
        "lines": len(logs.structured_content["lines"]),
        "healthy": json.loads(resource.contents[0].text)["overall_healthy"],
        "prompts": [prompt.name for prompt in prompts.prompts],
    }


async def connect(transport, mode, project, url, command):
    if transport == "http":
        headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
        async with create_mcp_http_client(headers=headers) as http:
            async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
                return await look(client, project)
    environment = {name: value for name, value in os.environ.items() if name != "TOKEN"}
    parameters = StdioServerParameters(command=command[0], args=command[1:], env=environment)
    async with Client(stdio_client(parameters), mode=mode) as client:
        return await look(client, project)


async def main():
    project, url, *command = sys.argv[1:]
    for line in sys.stdin:
        transport, mode = line.split()
        try:
            seen = await connect(transport, mode, project, url, command)
        except Exception:
            seen = {"error": traceback.format_exc()}
        print(json.dumps(seen), flush=True)


asyncio.run(main())
