"""API errors: what kube-apiserver answers when a request cannot be served.

Reasons, codes and wording follow ``k8s.io/apimachinery/pkg/api/errors``, because clients decide by
``reason`` and people and scripts match on the messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clusterip.objects.errors import FieldError
from clusterip.objects.meta import Status, StatusCause, StatusDetails
from clusterip.objects.registry import Resource


class StatusError(Exception):
    """A request failed; ``status`` is the answer's body and ``headers`` belong to the answer too."""

    def __init__(self, status: Status, headers: dict[str, str] | None = None) -> None:
        super().__init__(status.message)
        self.status = status
        self.headers = headers or {}


def failure(code: int, reason: str, message: str, details: StatusDetails | None = None) -> StatusError:
    return StatusError(
        Status(
            kind="Status",
            apiVersion="v1",
            status="Failure",
            message=message,
            reason=reason,
            details=details,
            code=code,
        )
    )


def success(details: StatusDetails | None = None, code: int = 0) -> Status:
    """The answer to a request that leaves no object to show, as most deletions do."""
    return Status(kind="Status", apiVersion="v1", status="Success", details=details, code=code)


def _details(resource: Resource[Any] | None, name: str) -> StatusDetails:
    if resource is None:
        return StatusDetails(name=name)
    return StatusDetails(name=name, group=resource.group, kind=resource.plural)


def _called(resource: Resource[Any] | None, name: str) -> str:
    group_resource = resource.group_resource if resource else ""
    return f'{group_resource} "{name}"' if name else group_resource


def not_found(resource: Resource[Any], name: str) -> StatusError:
    return failure(404, "NotFound", f"{_called(resource, name)} not found", _details(resource, name))


def no_such_path() -> StatusError:
    return failure(404, "NotFound", "the server could not find the requested resource", StatusDetails())


def already_exists(resource: Resource[Any], name: str) -> StatusError:
    return failure(
        409, "AlreadyExists", f"{_called(resource, name)} already exists", _details(resource, name)
    )


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: Resource[Any], name: str, why: str = MODIFIED) -> StatusError:
    message = f"Operation cannot be fulfilled on {_called(resource, name)}: {why}"
    return failure(409, "Conflict", message, _details(resource, name))


def invalid(resource: Resource[Any], name: str, errors: Sequence[FieldError]) -> StatusError:
    """422: what is wrong with each field, said once each."""
    resource = resource.stored
    kind = resource.kind
    shown = f"{kind}.{resource.group}" if resource.group else kind
    return failure(
        422,
        "Invalid",
        f'{shown} "{name}" is invalid: {_told(errors)}',
        StatusDetails(name=name, group=resource.group, kind=kind, causes=_causes(errors)),
    )


def invalid_options(kind: str, errors: Sequence[FieldError]) -> StatusError:
    """422: what is wrong with the options of a request, as ``CreateOptions``."""
    options = f"{kind}.meta.k8s.io"
    return failure(
        422,
        "Invalid",
        f'{options} "" is invalid: {_told(errors)}',
        StatusDetails(group="meta.k8s.io", kind=kind, causes=_causes(errors)),
    )


def _told(errors: Sequence[FieldError]) -> str:
    texts = list(dict.fromkeys(str(error) for error in errors))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _causes(errors: Sequence[FieldError]) -> list[StatusCause]:
    return [StatusCause(reason=e.reason, message=e.body, field=str(e.field)) for e in errors]


def forbidden(resource: Resource[Any] | None, name: str, why: str) -> StatusError:
    called = _called(resource, name)
    message = f"{called} is forbidden: {why}" if called else f"forbidden: {why}"
    return failure(403, "Forbidden", message, _details(resource, name))


def forbidden_request(group: str, plural: str, name: str, why: str) -> StatusError:
    """403 of authorization, which judges also what there is no such resource of."""
    called = f"{plural}.{group}" if group else plural
    if not called:
        return failure(403, "Forbidden", f"forbidden: {why}", StatusDetails())
    shown = f'{called} "{name}"' if name else called
    details = StatusDetails(name=name, group=group, kind=plural)
    return failure(403, "Forbidden", f"{shown} is forbidden: {why}", details)


def bad_request(message: str) -> StatusError:
    return failure(400, "BadRequest", message)


def unauthorized() -> StatusError:
    return failure(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> StatusError:
    message = "the server does not allow this method on the requested resource"
    return failure(405, "MethodNotAllowed", message, StatusDetails())


def not_acceptable(accepted: Sequence[str], *, offered: bool = True) -> StatusError:
    """406; ``offered`` says that the media type is right and only what is asked of it cannot be had."""
    if not offered:
        message = f"406: Not Acceptable\n\nAvailable representations: {', '.join(accepted)}"
        return failure(406, "NotAcceptable", message, StatusDetails())
    message = f"only the following media types are accepted: {', '.join(accepted)}"
    return failure(406, "NotAcceptable", message)


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        f"{', '.join(accepted)}"
    )
    return failure(415, "UnsupportedMediaType", message)


def too_large(limit: int) -> StatusError:
    return failure(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def expired(message: str) -> StatusError:
    """410: the resource version asked for is no longer kept."""
    return failure(410, "Expired", message)


def gone_version(wanted: int, oldest: int) -> StatusError:
    return expired(f"too old resource version: {wanted} ({oldest})")


def too_large_version(wanted: int, current: int) -> StatusError:
    """504: a resource version from the future; the client should try again in a second."""
    cause = StatusCause(reason="ResourceVersionTooLarge", message="Too large resource version")
    details = StatusDetails(causes=[cause], retryAfterSeconds=1)
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    error = failure(504, "Timeout", message, details)
    error.headers["Retry-After"] = "1"
    return error


def too_many_requests(message: str, retry_after: int = 10, cause: StatusCause | None = None) -> StatusError:
    details = StatusDetails(causes=[cause] if cause else [], retryAfterSeconds=retry_after)
    error = failure(429, "TooManyRequests", message, details)
    error.headers["Retry-After"] = str(retry_after)
    return error


def internal(message: str) -> StatusError:
    cause = StatusCause(message=message)
    return failure(500, "InternalError", f"Internal error occurred: {message}", StatusDetails(causes=[cause]))


def unavailable(message: str) -> StatusError:
    return failure(503, "ServiceUnavailable", message)
