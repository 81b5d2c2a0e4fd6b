"""What etcd's gateway answers when it does not do what it was asked to."""

from __future__ import annotations

import ssl

import msgspec

from clusterip.storage.etcd.messages import Failure, Streamed
from clusterip.storage.store import StoreError, Unavailable

INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
RESOURCE_EXHAUSTED = 8
"""gRPC's code for, among others, an answer that is larger than the gateway takes (4 MB)."""
FAILED_PRECONDITION = 9
UNIMPLEMENTED = 12
UNAVAILABLE = 14
"""gRPC's code for a member without a leader, a leader that changes, a server that stops."""
UNAUTHENTICATED = 16


class EtcdError(StoreError):
    """etcd refused a call. ``code`` is gRPC's."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Untrusted(Unavailable):
    """etcd's certificate or ours is not accepted: another endpoint may do, but waiting is of no use."""


class LoginExpired(EtcdError):
    """The token is no longer taken; a new login gets another."""


def failure(endpoint: str, status: int, answer: bytes) -> StoreError:
    """The error that an answer other than 200 stands for."""
    try:
        streamed = msgspec.json.decode(answer, type=Streamed, strict=False)
        if streamed.error is not None:  # a stream that failed before its first answer
            return refused(endpoint, streamed.error.message, streamed.error.grpc_code)
    except msgspec.MsgspecError:
        pass
    try:
        told = msgspec.json.decode(answer, type=Failure, strict=False)
    except msgspec.MsgspecError:
        text = answer[:200].decode(errors="replace").strip()
        if status == 404:
            message = f"{endpoint} has no /v3 API ({text}); etcd 3.4 or newer is needed"
            return EtcdError(message, UNIMPLEMENTED)
        if _COMMON_NAME in text:
            return EtcdError(
                f"etcd at {endpoint} has users, and then takes no client certificate with a common name (CN) "
                "through its gateway: use one without",
                UNAUTHENTICATED,
            )
        return Unavailable(f"etcd at {endpoint} answers {status}: {text}")
    return refused(endpoint, told.message, told.code)


def refused(endpoint: str, message: str, code: int) -> StoreError:
    """The error of a message that etcd's own server gave."""
    text = f"etcd at {endpoint}: {message}"
    if code in (DEADLINE_EXCEEDED, UNAVAILABLE) or message == _DROPPED:
        return Unavailable(text)
    if code == UNAUTHENTICATED or (code == INVALID_ARGUMENT and any(each in message for each in _LOGIN)):
        return LoginExpired(text, code)
    return EtcdError(text, code)


_COMMON_NAME = "CommonName of client sending a request against gateway"
_DROPPED = "raft proposal dropped"
"""While leadership is handed over; has no code of its own."""

_LOGIN = ("revision of auth store is old", "user name is empty", "invalid auth token")


def unreachable(endpoint: str, error: Exception) -> Unavailable:
    """The error of a call that got no answer."""
    text = f"etcd at {endpoint} does not answer: {why(error)}"
    return Untrusted(text) if _is_about_certificates(error) else Unavailable(text)


def _is_about_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError) and any(word in str(error).upper() for word in _CERTIFICATE):
            return True
        error = error.__cause__ or error.__context__
    return False


_CERTIFICATE = ("CERTIFICATE", "UNKNOWN_CA", "UNKNOWN CA")


def why(error: BaseException) -> str:
    return str(error) or type(error).__name__
