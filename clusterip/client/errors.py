"""What can go wrong between a client and the API server."""

from __future__ import annotations

import msgspec

from clusterip.objects import codec
from clusterip.objects.meta import Status


class ApiError(Exception):
    """The API server's refusal: ``status`` is its answer, ``code`` the HTTP code."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message or status.reason or f"the server answered {status.code}")
        self.status = status

    @property
    def code(self) -> int:
        return self.status.code

    @property
    def reason(self) -> str:
        return self.status.reason

    @property
    def is_not_found(self) -> bool:
        return self.reason == "NotFound" or self.code == 404

    @property
    def is_conflict(self) -> bool:
        """Somebody else changed the object since it was read."""
        return self.reason == "Conflict"

    @property
    def is_already_exists(self) -> bool:
        return self.reason == "AlreadyExists"

    @property
    def is_gone(self) -> bool:
        """The resource version is too old to watch or continue from; list again."""
        return self.code == 410 or self.reason in ("Expired", "Gone")

    @property
    def is_namespace_terminating(self) -> bool:
        """A create was refused because its namespace is being deleted."""
        details = self.status.details
        causes = details.causes if details else []
        return self.code == 403 and any(cause.reason == "NamespaceTerminating" for cause in causes)


class Unreachable(ConnectionError):
    """The API server did not answer: it is down, or the network between is. Worth trying again."""


def error_of(code: int, body: bytes) -> ApiError:
    """The error in a response, whether or not its body is a ``Status``."""
    try:
        status = codec.decode(body, Status)
    except msgspec.DecodeError:
        status = _in_protobuf(body)
    if not status.code:
        status.code = code
    if not status.message:
        status.status, status.message = "Failure", body.decode(errors="replace").strip() or f"HTTP {code}"
    return ApiError(status)


def _in_protobuf(body: bytes) -> Status:
    from clusterip.client.protobuf import read_status  # which needs this module
    from clusterip.objects.protobuf import NotProtobuf

    try:
        return read_status(body)
    except NotProtobuf:
        return Status()
