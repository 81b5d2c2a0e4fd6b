"""The admission plugins that are on, in upstream's order (``pkg/kubeapiserver/options/plugins.go``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from clusterip.apiserver import status
from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from clusterip.apiserver.admission.default_ingress_class import DefaultIngressClass
from clusterip.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from clusterip.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from clusterip.apiserver.admission.node_restriction import NodeRestriction
from clusterip.apiserver.admission.plugin import Plugin
from clusterip.apiserver.admission.pod_topology_labels import PodTopologyLabels
from clusterip.apiserver.admission.priority import Priority
from clusterip.apiserver.admission.service_account import ServiceAccountAdmission
from clusterip.apiserver.admission.taint_nodes import TaintNodesByCondition
from clusterip.apiserver.authn import User
from clusterip.apiserver.authz.decision import Authorizer, refusal
from clusterip.apiserver.authz.escalation import EscalationCheck
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.registry import Resource

_Factory = Callable[[WatchCache, Authorizer], Plugin]

_PLUGINS: dict[str, _Factory] = {
    NamespaceLifecycle.name: lambda cache, _authorizer: NamespaceLifecycle(cache),
    ServiceAccountAdmission.name: lambda cache, _authorizer: ServiceAccountAdmission(cache),
    NodeRestriction.name: NodeRestriction,
    TaintNodesByCondition.name: lambda cache, _authorizer: TaintNodesByCondition(cache),
    Priority.name: lambda cache, _authorizer: Priority(cache),
    DefaultTolerationSeconds.name: lambda cache, _authorizer: DefaultTolerationSeconds(cache),
    CertificateApproval.name: CertificateApproval,
    CertificateSigning.name: CertificateSigning,
    CertificateSubjectRestriction.name: lambda cache, _authorizer: CertificateSubjectRestriction(cache),
    DefaultIngressClass.name: lambda cache, _authorizer: DefaultIngressClass(cache),
    PodTopologyLabels.name: lambda cache, _authorizer: PodTopologyLabels(cache),
}

OFF_BY_DEFAULT = frozenset((NodeRestriction.name,))


def enabled(enable: Iterable[str], disable: Iterable[str]) -> list[str]:
    """The plugins that are on, given ``--enable-admission-plugins`` and ``--disable-admission-plugins``.

    Raises:
        ValueError: there is no plugin of such a name, or one is both enabled and disabled.
    """
    on, off = set(enable), set(disable)
    for flag, names in (("enable", on), ("disable", off)):
        for name in sorted(names - _PLUGINS.keys()):
            known = ", ".join(_PLUGINS)
            raise ValueError(f'{flag}-admission-plugins plugin "{name}" is unknown: there are {known}')
    if on & off:
        both = ", ".join(sorted(on & off))
        raise ValueError(f"{both} in enable-admission-plugins and disable-admission-plugins overlapped")
    return [name for name in _PLUGINS if name in on or (name not in off and name not in OFF_BY_DEFAULT)]


class Admission:
    """Every write passes here after it is authorized and before it is validated.

    First all plugins complete the object, then all judge it: whoever comes later in a chain may change
    what one before has seen. Grants of permissions are checked here too, whichever plugins are on.
    """

    def __init__(
        self,
        cache: WatchCache,
        authorizer: Authorizer,
        enable: Iterable[str] = (),
        disable: Iterable[str] = (),
    ) -> None:
        """Raises ValueError as ``enabled`` does."""
        self._plugins = [_PLUGINS[name](cache, authorizer) for name in enabled(enable, disable)]
        self._escalation = EscalationCheck(cache, authorizer)
        self._authorizer = authorizer
        self._chosen: dict[Any, list[Plugin]] = {}

    async def judge(self, attributes: Attributes) -> None:
        """Complete the new object and decide on the request.

        Raises:
            StatusError: the request may not be made (403, usually), or names what does not exist (404).
        """
        plugins = self._for(attributes)
        for plugin in plugins:
            await plugin.admit(attributes)
        self._escalation.check(attributes)
        for plugin in plugins:
            await plugin.validate(attributes)

    def check_creation(self, user: User, resource: Resource[Any], namespace: str, name: str) -> None:
        """Raises StatusError (403) if the user, whose PUT or PATCH comes to nothing that exists, may not
        create it."""
        wanted = RequestInfo("create", "", {})
        wanted.group, wanted.version, wanted.plural = resource.group, resource.version, resource.plural
        wanted.namespace, wanted.name = namespace, name
        decision = self._authorizer.decide(user, wanted)
        if not decision.allowed:
            why = refusal(user, wanted, decision.reason)
            raise status.forbidden(resource, name, why)

    def _for(self, attributes: Attributes) -> list[Plugin]:
        key = (attributes.operation, attributes.resource)
        chosen = self._chosen.get(key)
        if chosen is None:
            chosen = self._chosen[key] = [
                plugin
                for plugin in self._plugins
                if attributes.operation in plugin.operations
                and (not plugin.resources or attributes.resource in plugin.resources)
            ]
        return chosen
