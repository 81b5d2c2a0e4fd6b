"""What the controllers may do by default, each of them and the manager that runs them all."""

from __future__ import annotations

from clusterip.apiserver.authz.policy.components import SCHEDULER_RULES
from clusterip.apiserver.authz.policy.rules import EVENTS, EVERYTHING, READ, DefaultRole, rule

_PODS = rule("create delete get list patch update watch", "", "pods")

_RULES = {
    "daemon-set-controller": [
        rule(READ, "apps", "daemonsets"),
        rule("update", "apps", "daemonsets/finalizers daemonsets/status"),
        rule(READ, "", "nodes"),
        _PODS,
        rule("create", "", "pods/binding"),
        rule("create delete get list patch update watch", "apps", "controllerrevisions"),
    ],
    "deployment-controller": [
        rule("get list update watch", "apps", "deployments"),
        rule("update", "apps", "deployments/finalizers deployments/status"),
        rule("create delete get list patch update watch", "apps", "replicasets"),
        rule("get list update watch", "", "pods"),
    ],
    "disruption-controller": [
        rule(READ, "apps", "deployments replicasets statefulsets"),
        rule(READ, "", "pods replicationcontrollers"),
        rule(READ, "policy", "poddisruptionbudgets"),
        rule("update", "policy", "poddisruptionbudgets/status"),
        rule("patch update", "", "pods/status"),
        rule("get", "*", "*/scale"),
    ],
    "endpoint-controller": [
        rule(READ, "", "pods services"),
        rule("create delete get list update", "", "endpoints"),
        rule("create", "", "endpoints/restricted"),
    ],
    "endpointslice-controller": [
        rule(READ, "", "nodes pods services"),
        rule("update", "", "services/finalizers"),
        rule("create delete get list update", "discovery.k8s.io", "endpointslices"),
        rule("create", "discovery.k8s.io", "endpointslices/restricted"),
    ],
    "endpointslicemirroring-controller": [
        rule(READ, "", "endpoints services"),
        rule("update", "", "endpoints/finalizers services/finalizers"),
        rule("create delete get list update", "discovery.k8s.io", "endpointslices"),
        rule("create", "discovery.k8s.io", "endpointslices/restricted"),
    ],
    "generic-garbage-collector": [rule("delete get list patch update watch", "*", "*")],
    "namespace-controller": [
        rule("delete get list watch", "", "namespaces"),
        rule("update", "", "namespaces/finalize namespaces/status"),
        rule("delete deletecollection get list", "*", "*"),
    ],
    "node-controller": [
        rule("delete get list patch update watch", "", "nodes"),
        rule("patch update", "", "nodes/status"),
        rule("patch update", "", "pods/status"),
        rule("delete get list watch", "", "pods"),
        rule(READ, "coordination.k8s.io", "leases"),
    ],
    "pod-garbage-collector": [
        rule("delete list watch", "", "pods"),
        rule(READ, "", "nodes"),
        rule("patch", "", "pods/status"),
    ],
    "replicaset-controller": [
        rule("get list update watch", "apps", "replicasets"),
        rule("update", "apps", "replicasets/finalizers replicasets/status"),
        _PODS,
    ],
    "replication-controller": [
        rule("get list update watch", "", "replicationcontrollers"),
        rule("update", "", "replicationcontrollers/finalizers replicationcontrollers/status"),
        _PODS,
    ],
    "service-account-controller": [rule("create", "", "serviceaccounts")],
    "service-cidrs-controller": [
        rule("get list patch update watch", "networking.k8s.io", "servicecidrs"),
        rule("patch update", "networking.k8s.io", "servicecidrs/finalizers servicecidrs/status"),
        rule(READ, "networking.k8s.io", "ipaddresses"),
    ],
    "service-controller": [
        rule(READ, "", "services"),
        rule("patch update", "", "services/status"),
        rule("list watch", "", "nodes"),
    ],
    "statefulset-controller": [
        rule(READ, "", "pods"),
        rule(READ, "apps", "statefulsets"),
        rule("update", "apps", "statefulsets/finalizers statefulsets/status"),
        rule("create delete get patch update", "", "pods"),
        rule("create delete get list patch update watch", "apps", "controllerrevisions"),
        rule("create get", "", "persistentvolumeclaims"),
    ],
    "clusterrole-aggregation-controller": [
        rule("escalate get list patch update watch", "rbac.authorization.k8s.io", "clusterroles")
    ],
    "root-ca-cert-publisher": [rule("create update", "", "configmaps")],
}

_MANAGER = [
    *EVENTS,
    rule(EVERYTHING, "coordination.k8s.io", "leases"),
    rule("create", "", "secrets serviceaccounts"),
    rule("delete", "", "secrets"),
    rule("get", "", "configmaps namespaces secrets serviceaccounts"),
    rule("update", "", "secrets serviceaccounts"),
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
    rule("list watch", "*", "*"),
    rule("create", "", "serviceaccounts/token"),
]

# Upstream's manager takes on a ServiceAccount for each controller. Here one identity does it all, the
# scheduling too, so that its role is everything that they need together.
_TOGETHER = [each for rules in _RULES.values() for each in rules] + SCHEDULER_RULES

ROLES = [
    DefaultRole(
        "system:kube-controller-manager", _MANAGER + _TOGETHER, users=("system:kube-controller-manager",)
    ),
    *(
        DefaultRole(f"system:controller:{name}", [*rules, *EVENTS], accounts=(name,))
        for name, rules in _RULES.items()
        if rules
    ),
]
