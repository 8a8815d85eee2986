"""The official Python client, over stdio or HTTP: prints what it saw as one JSON value."""

import asyncio
import json
import os
import sys

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
    print(json.dumps({
        "protocol": client.protocol_version,
        "server": client.server_info.name,
        "tools": [tool.name for tool in tools.tools],
        "stacks": stacks.structured_content,
        "status": started.structured_content["status"],
        "refused": [refused.is_error, refused.structured_content["code"]],
        "lines": len(logs.structured_content["lines"]),
        "healthy": json.loads(resource.contents[0].text)["overall_healthy"],
        "prompts": [prompt.name for prompt in prompts.prompts],
    }))


async def main():
    door, mode, project, *rest = sys.argv[1:]
    if door == "http":
        headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
        async with create_mcp_http_client(headers=headers) as http:
            async with Client(streamable_http_client(rest[0], http_client=http), mode=mode) as client:
                await look(client, project)
    else:
        parameters = StdioServerParameters(command=rest[0], args=rest[1:], env=dict(os.environ))
        async with Client(stdio_client(parameters), mode=mode) as client:
            await look(client, project)


asyncio.run(main())
