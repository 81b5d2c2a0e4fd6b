"""Why a patch cannot be applied, as the client is told."""

from __future__ import annotations

from typing import Any


class PatchError(Exception):
    """A patch that is malformed or does not fit the object.

    Attributes:
        code: the HTTP status: 400, 413, 422, or 500 where upstream has no better one either.
        reason: the Status' reason.
        message: the Status' message, as kube-apiserver words it.
        detail: what exactly did not fit. Differs from the message where kube-apiserver keeps it to itself.
    """

    def __init__(self, code: int, message: str, detail: str = "") -> None:
        super().__init__(detail or message)
        self.code = code
        self.reason = {400: "BadRequest", 413: "RequestEntityTooLarge", 422: "Invalid"}.get(code, "")
        self.message = message
        self.detail = detail or message


def malformed(message: str) -> PatchError:
    """The patch is not a patch."""
    return PatchError(400, message)


def does_not_apply(detail: str) -> PatchError:
    """The patch does not fit the object as it is now (pkg/api/errors NewGenericServerResponse for 422)."""
    return PatchError(422, "the server rejected our request due to an error in our request", detail)


def go_type(value: Any) -> str:
    """What Go calls the type of a JSON value in its messages."""
    if value is None:
        return "nil"
    names = {
        dict: "map[string]interface {}",
        list: "[]interface {}",
        str: "string",
        bool: "bool",
        int: "int64",
    }
    return names.get(type(value), "float64")


def json_type(value: Any) -> str:
    """What encoding/json calls a JSON value that it cannot store."""
    if value is None:
        return "null"
    names = {dict: "object", list: "array", str: "string", bool: "bool"}
    return names.get(type(value), "number")


def go_value(value: Any) -> str:
    """A JSON value as Go prints it with ``%v``."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_value(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_value, value)) + "]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)
