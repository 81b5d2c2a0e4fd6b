"""Taking in a question that is answered and not stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from clusterip.apiserver import status
from clusterip.apiserver.call import Call
from clusterip.apiserver.decoding import read_object, to_json
from clusterip.apiserver.field_managers import manager_of, note
from clusterip.objects.errors import FieldError
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource

R = TypeVar("R", bound=Object)


async def read(call: Call, resource: Resource[R]) -> R:
    """The question in a request's body, with a note of whose words it is.

    Raises:
        StatusError: it cannot be read.
    """
    document = to_json(await call.body(), call.content_type, resource.type)
    review: R
    review, call.warnings = read_object(document, resource, call.info.query)
    note(resource, review, None, manager_of(call.request, call.info))
    return review


def invalid(resource: Resource[R], errors: Sequence[FieldError]) -> status.StatusError:
    """422 as upstream gives it, whose reviews have lost their kind when they are validated."""
    error = status.invalid(resource, "", errors)
    error.status.message = error.status.message.removeprefix(resource.kind)
    if error.status.details is not None:
        error.status.details.kind = ""
    return error
