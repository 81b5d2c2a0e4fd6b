"""Objects live in namespaces that exist and are not on their way out.

As ``k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle``.
"""

from __future__ import annotations

from clusterip.apiserver import status
from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.admission.plugin import Plugin
from clusterip.apiserver.entry import Entry
from clusterip.objects.core.namespace import NAMESPACES
from clusterip.objects.meta import StatusCause

IMMORTAL = frozenset(("default", "kube-system", "kube-public"))
TERMINATING = "NamespaceTerminating"


class NamespaceLifecycle(Plugin):
    name = "NamespaceLifecycle"
    operations = frozenset(("CREATE", "UPDATE", "DELETE"))

    async def admit(self, attributes: Attributes) -> None:
        if attributes.resource is NAMESPACES:
            if attributes.operation == "DELETE" and attributes.name in IMMORTAL:
                raise attributes.forbidden("this namespace may not be deleted")
            return
        if not attributes.resource.namespaced or attributes.operation == "DELETE":
            return
        namespace = attributes.namespace
        entry = await self._namespace(namespace)
        if attributes.operation != "CREATE" or entry.field("status.phase") != "Terminating":
            return
        error = attributes.forbidden(
            f"unable to create new content in namespace {namespace} because it is being terminated"
        )
        assert error.status.details is not None
        error.status.details.causes = [
            StatusCause(
                reason=TERMINATING,
                message=f"namespace {namespace} is being terminated",
                field="metadata.namespace",
            )
        ]
        raise error

    async def _namespace(self, name: str) -> Entry:
        entry = self.cache.of(NAMESPACES).get("", name)
        if entry is None:
            await self.cache.current()  # it may have been created a moment ago
            entry = self.cache.of(NAMESPACES).get("", name)
            if entry is None:
                raise status.not_found(NAMESPACES, name)
        return entry
