"""What an admission plugin is told of a request, as ``k8s.io/apiserver/pkg/admission``'s ``Attributes``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from clusterip.apiserver import status
from clusterip.apiserver.authn import User
from clusterip.objects.registry import Resource

Operation = Literal["CREATE", "UPDATE", "DELETE"]


@dataclass(frozen=True, slots=True)
class Attributes:
    """A write that has been authorized and is now to be judged by what it says.

    ``name`` is empty while a name is still to be generated. ``obj`` is the new object, which plugins may
    change while they mutate, and ``old`` what it replaces or what is deleted. ``named``
    says whether the URL named the object, as it does unless one is created by POST.
    """

    operation: Operation
    user: User
    resource: Resource[Any]
    namespace: str
    name: str
    obj: Any = None
    old: Any = None
    subresource: str = ""
    named: bool = True

    def forbidden(self, why: str) -> status.StatusError:
        """The answer (403) to a request that may not be made."""
        return status.forbidden(self.resource, self._shown_name(), why)

    def _shown_name(self) -> str:
        if self.name:
            return self.name
        meta = getattr(self.obj, "metadata", None)
        return (meta.name or meta.generateName if meta is not None else "") or "Unknown"
