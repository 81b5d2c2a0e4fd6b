"""``/logs``: the node's own log files, as kubelet serves ``/var/log``."""

from __future__ import annotations

import asyncio
import html
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

DIRECTORY = Path("/var/log")


class Files:
    """Serves a directory and what is below it, for reading."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """A file, or what is in a directory."""
        name = request.match_info.get("path", "")
        path = self._directory / name
        if ".." in path.parts or not await asyncio.to_thread(path.exists):
            raise web.HTTPNotFound(text="404 page not found\n")
        if not await asyncio.to_thread(path.is_dir):
            return web.FileResponse(path)
        if not request.path.endswith("/"):
            # Relative, so that it leads to the same place through the API server.
            raise web.HTTPMovedPermanently(f"{quote(path.name)}/")
        names = await asyncio.to_thread(_names, path)
        links = "".join(f'<a href="{quote(each)}">{html.escape(each)}</a>\n' for each in names)
        page = f'<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n{links}</pre>\n'
        return web.Response(text=page, content_type="text/html")


def _names(directory: Path) -> list[str]:
    return sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in directory.iterdir())
