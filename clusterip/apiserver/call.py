"""One request on its way through the server, and the answer to it."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

from aiohttp import web
from multidict import CIMultiDict

from clusterip.apiserver import negotiation, status
from clusterip.apiserver.authn import User
from clusterip.apiserver.negotiation import YAML, Form
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.codec import encode
from clusterip.objects.go_text import quoted

if TYPE_CHECKING:
    from clusterip.apiserver.server import ApiServer

BODY_LIMIT = 3 * 1024 * 1024
"""Bytes; larger requests get 413 (upstream's ``MaxRequestBodyBytes``)."""

_GZIP_FROM = 128 * 1024

_ALL_WARNINGS = 4 * 1024
_ONE_WARNING = 256
"""How many characters warnings may have: beyond so many in all, each is cut."""

_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_BODY_SECONDS = 60.0  # upstream's --request-timeout
_PEOPLE = ("curl", "Wget", "Mozilla/5.0")
_TYPES = {negotiation.JSON: "application/json", YAML: "application/yaml"}


class Call:
    """A request, who makes it, and what the handlers need to answer it."""

    __slots__ = ("_form", "info", "request", "server", "user", "warnings")

    def __init__(self, server: ApiServer, request: web.BaseRequest, info: RequestInfo, user: User) -> None:
        self.server = server
        self.request = request
        self.info = info
        self.user = user
        self.warnings: list[str] = []
        self._form: Form | None = None

    @property
    def form(self) -> Form:
        """How the client wants its answer. Raises StatusError (406) if that cannot be had."""
        if self._form is None:
            form = negotiation.accept(self.request.headers.get("Accept", ""))
            query = self.info.query
            if query and form.shape == "table" and "includeObject" in query:
                form = Form(form.media_type, form.shape, _include_object(query["includeObject"]))
            if self._pretty:
                form = Form(form.media_type, form.shape, form.include_object, True)
            self._form = form
        return self._form

    @property
    def _pretty(self) -> bool:
        """Whether the answer is laid out for a person: if asked for, or if a browser or curl asks."""
        wanted = self.info.query.get("pretty", "")
        if wanted:
            return wanted in _TRUE
        return self.request.headers.get("User-Agent", "").startswith(_PEOPLE)

    @property
    def content_type(self) -> str:
        return self.request.headers.get("Content-Type", "")

    async def body(self) -> bytes:
        """The request's body. Raises StatusError (413) if it is too large."""
        length = self.request.content_length
        if length is not None and length > BODY_LIMIT:
            raise status.too_large(BODY_LIMIT)
        if self.request.headers.get("Expect", "").lower() == "100-continue" and self.request.transport:
            self.request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            if self.request.content.is_eof():  # as nearly always: it came with its headers
                return await self.request.read()
            async with asyncio.timeout(_BODY_SECONDS):
                return await self.request.read()
        except web.HTTPRequestEntityTooLarge:
            raise status.too_large(BODY_LIMIT) from None
        except TimeoutError:
            # The rest may never come, or not be what it says it is.
            raise status.failure(504, "Timeout", "Timeout: the request's body did not come in time") from None

    def reply(self, body: bytes, code: int = 200) -> web.Response:
        """An answer in the client's form, with the warnings gathered so far."""
        return self.respond(body, code, _TYPES[self.form.media_type])

    def respond(self, body: bytes, code: int, content_type: str) -> web.Response:
        headers = CIMultiDict({"Content-Type": content_type, "Cache-Control": "no-cache, private"})
        for warning in self.told:
            headers.add("Warning", header_of(warning))
        return web.Response(body=body, status=code, headers=headers)

    @property
    def told(self) -> list[str]:
        """The warnings of the answer, as they are sent."""
        resource = self.info.resource
        if resource is not None and resource.deprecation:
            return told([resource.deprecation, *self.warnings])
        return told(self.warnings) if self.warnings else self.warnings

    def reply_status(self, answer: Any, headers: dict[str, str] | None = None) -> web.Response:
        """A ``Status``, always as JSON."""
        response = self.respond(encode(answer) + b"\n", answer.code or 200, "application/json")
        if headers:
            response.headers.update(headers)
        return response


async def compress(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Compress a large answer if the client can take that; in a thread, as it may take a while."""
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return
    if "Content-Encoding" in response.headers:
        return  # it comes from a server behind the proxy, and is compressed already
    if len(response.body) < _GZIP_FROM or "gzip" not in request.headers.get("Accept-Encoding", ""):
        return
    response.body = await asyncio.to_thread(gzip.compress, response.body, 1)
    response.headers["Content-Encoding"] = "gzip"
    response.headers.add("Vary", "Accept-Encoding")


def _include_object(value: str) -> str:
    if value in ("None", "Metadata", "Object"):
        return value
    if not value:
        return "Metadata"
    raise status.bad_request(
        "Unable to convert to Table as requested: includeObject: Invalid value: "
        f"{quoted(value)}: must be 'Metadata', 'Object', 'None', or empty"
    )


def told(warnings: list[str]) -> list[str]:
    """Warnings as they are sent: each once, and cut short if there is too much of them."""
    each = [text for text in dict.fromkeys(warnings) if text]
    if sum(map(len, each)) <= _ALL_WARNINGS:
        return each
    sent, length = [], 0
    for text in (text[:_ONE_WARNING] for text in each):
        if length >= _ALL_WARNINGS:
            break
        sent.append(text)
        length += len(text)
    return sent


def header_of(warning: str) -> str:
    """A warning as it stands in a header: no control characters, quotes escaped."""
    plain = "".join(character if character.isprintable() else " " for character in warning)
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'
