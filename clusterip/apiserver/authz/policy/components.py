"""What the parts of a cluster may do by default: nodes, the proxy, DNS, the scheduler."""

from __future__ import annotations

from clusterip.apiserver.authz.policy.rules import EVENTS, READ, DefaultRole, rule

_REVIEWS = [
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
]

NODE_RULES = [
    *_REVIEWS,
    rule(READ, "", "services"),
    rule("create get list watch", "", "nodes"),
    rule("patch update", "", "nodes nodes/status"),
    rule("create patch update", "", "events"),
    rule(READ, "", "pods"),
    rule("create delete", "", "pods"),
    rule("patch update", "", "pods/status"),
    rule("create", "", "pods/eviction"),
    rule(READ, "", "configmaps secrets"),
    rule("get", "", "persistentvolumeclaims persistentvolumes"),
    rule("get", "", "endpoints"),
    rule("create delete get patch update", "coordination.k8s.io", "leases"),
    rule("create", "", "serviceaccounts/token"),
    rule("get", "", "serviceaccounts"),
    rule(READ, "node.k8s.io", "runtimeclasses"),
]
"""The role ``system:node``, which the node authorizer gives to every node."""

PROXY_RULES = [
    rule("list watch", "", "endpoints services"),
    rule(READ, "", "nodes"),
    *EVENTS,
    rule("list watch", "discovery.k8s.io", "endpointslices"),
    rule("list watch", "networking.k8s.io", "servicecidrs"),
]

DNS_RULES = [
    rule("list watch", "", "endpoints namespaces pods services"),
    rule("list watch", "discovery.k8s.io", "endpointslices"),
    # What CoreDNS asks for, and the nodes, whose topology decides between trafficDistribution's zones.
    rule(READ, "", "nodes"),
]

SCHEDULER_RULES = [
    *EVENTS,
    rule("create", "coordination.k8s.io", "leases"),
    rule("get list update watch", "coordination.k8s.io", "leases"),
    rule(READ, "", "namespaces nodes"),
    rule("delete get list watch", "", "pods"),
    rule("create", "", "bindings pods/binding"),
    rule("patch update", "", "pods/status"),
    rule(READ, "", "replicationcontrollers services"),
    rule(READ, "apps", "replicasets statefulsets"),
    rule(READ, "policy", "poddisruptionbudgets"),
    rule(READ, "", "persistentvolumeclaims persistentvolumes"),
    *_REVIEWS[:1],
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
]

ROLES = [
    DefaultRole("system:node", NODE_RULES),
    DefaultRole("system:node-proxier", PROXY_RULES, users=("system:kube-proxy",)),
    DefaultRole("system:kube-dns", [rule("list watch", "", "endpoints services")], accounts=("kube-dns",)),
    DefaultRole("system:coredns", DNS_RULES, accounts=("coredns",)),
    DefaultRole("system:kube-scheduler", SCHEDULER_RULES, users=("system:kube-scheduler",)),
    DefaultRole("system:auth-delegator", _REVIEWS),
    DefaultRole(
        "system:kubelet-api-admin",
        [
            rule(READ, "", "nodes"),
            rule("proxy", "", "nodes"),
            rule("*", "", "nodes/log nodes/metrics nodes/proxy nodes/stats"),
        ],
        users=("kube-apiserver-kubelet-client",),
    ),
    DefaultRole(
        "system:node-problem-detector",
        [rule("get", "", "nodes"), rule("patch", "", "nodes/status"), *EVENTS],
    ),
    DefaultRole(
        "system:node-bootstrapper",
        [rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests")],
    ),
]
