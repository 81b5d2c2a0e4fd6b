"""What the parts of a cluster may do by default: nodes, the proxy, DNS, the scheduler, the controllers."""

from __future__ import annotations

from clusterip.apiserver.authz.policy.controllers import RULES
from clusterip.apiserver.authz.policy.rules import APPS, EVENTS, EVERYTHING, READ, DefaultRole, rule

MANAGER, SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"

NODE_RULES = [
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
    rule(READ, "", "services"),
    rule("create get list watch", "", "nodes"),
    rule("patch update", "", "nodes/status"),
    rule("patch update", "", "nodes"),
    EVENTS,
    rule(READ, "", "pods"),
    rule("create delete", "", "pods"),
    rule("patch update", "", "pods/status"),
    rule("create", "", "pods/eviction"),
    rule(READ, "", "configmaps secrets"),
    rule("get", "", "persistentvolumeclaims persistentvolumes"),
    rule("get", "", "endpoints"),
    rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    rule("create delete get patch update", "coordination.k8s.io", "leases"),
    rule("get", "storage.k8s.io", "volumeattachments"),
    rule("create", "", "serviceaccounts/token"),
    rule("get patch update", "", "persistentvolumeclaims/status"),
    rule(READ, "storage.k8s.io", "csidrivers"),
    rule("create delete get patch update", "storage.k8s.io", "csinodes"),
    rule(READ, "node.k8s.io", "runtimeclasses"),
    rule("get", "resource.k8s.io", "resourceclaims"),
    rule("deletecollection", "resource.k8s.io", "resourceslices"),
    rule("get", "", "serviceaccounts"),
]
"""The role ``system:node``. The node authorizer gives it to nodes, and only so far as it concerns them."""

_SCHEDULER = [
    EVENTS,
    rule("create", "coordination.k8s.io", "leases"),
    rule("get list update watch", "coordination.k8s.io", "leases", "kube-scheduler"),
    rule(EVERYTHING, "coordination.k8s.io", "leasecandidates"),
    rule(READ, "", "nodes"),
    rule("delete get list watch", "", "pods"),
    rule("create", "", "bindings pods/binding"),
    rule("patch update", "", "pods/status"),
    rule(READ, "", "replicationcontrollers services"),
    rule(READ, APPS, "replicasets"),
    rule(READ, "apps", "statefulsets"),
    rule(READ, "policy", "poddisruptionbudgets"),
    rule(READ, "", "persistentvolumeclaims persistentvolumes"),
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
    rule(READ, "storage.k8s.io", "csinodes"),
    rule(READ, "storage.k8s.io", "volumeattachments"),
    rule(READ, "", "namespaces"),
    rule(READ, "storage.k8s.io", "csidrivers"),
    rule(READ, "storage.k8s.io", "csistoragecapacities"),
    rule(READ, "resource.k8s.io", "deviceclasses"),
    rule("get list patch update watch", "resource.k8s.io", "resourceclaims"),
    rule("get list patch update watch", "resource.k8s.io", "resourceclaims/status"),
    rule("update", "", "pods/finalizers"),
    rule(READ, "resource.k8s.io", "resourceslices"),
    rule("create delete", "resource.k8s.io", "resourceclaims"),
    rule("patch update", "resource.k8s.io", "resourceclaims/binding"),
]

ROLES = [
    DefaultRole("system:node", NODE_RULES, bound=True),
    DefaultRole("system:kube-scheduler", _SCHEDULER, users=(SCHEDULER,)),
    DefaultRole(
        "system:auth-delegator",
        [
            rule("create", "authentication.k8s.io", "tokenreviews"),
            rule("create", "authorization.k8s.io", "subjectaccessreviews"),
        ],
    ),
    DefaultRole(
        "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        [rule("create", "certificates.k8s.io", "certificatesigningrequests/nodeclient")],
    ),
    DefaultRole(
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        [rule("create", "certificates.k8s.io", "certificatesigningrequests/selfnodeclient")],
    ),
    DefaultRole(
        "system:certificates.k8s.io:kube-apiserver-client-approver",
        [rule("approve", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client")],
    ),
    DefaultRole(
        "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver",
        [rule("approve", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client-kubelet")],
    ),
    DefaultRole(
        "system:certificates.k8s.io:kubelet-serving-approver",
        [rule("approve", "certificates.k8s.io", "signers", "kubernetes.io/kubelet-serving")],
    ),
    DefaultRole(
        "system:certificates.k8s.io:legacy-unknown-approver",
        [rule("approve", "certificates.k8s.io", "signers", "kubernetes.io/legacy-unknown")],
    ),
    DefaultRole(
        "system:heapster",
        [rule(READ, "", "events namespaces nodes pods"), rule(READ, "extensions", "deployments")],
    ),
    DefaultRole("system:kube-aggregator", [rule(READ, "", "endpoints services")]),
    DefaultRole(
        "system:kube-controller-manager",
        [
            EVENTS,
            rule("create", "coordination.k8s.io", "leases"),
            rule("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
            rule("create", "", "secrets serviceaccounts"),
            rule("delete", "", "secrets"),
            rule("get", "", "configmaps namespaces secrets serviceaccounts"),
            rule("update", "", "secrets serviceaccounts"),
            rule("create", "authentication.k8s.io", "tokenreviews"),
            rule("create", "authorization.k8s.io", "subjectaccessreviews"),
            rule("list watch", "*", "*"),
            rule("create", "", "serviceaccounts/token"),
        ],
        users=(MANAGER,),
    ),
    DefaultRole("system:kube-dns", [rule("list watch", "", "endpoints services")], accounts=("kube-dns",)),
    DefaultRole(
        "system:kubelet-api-admin",
        [
            rule(READ, "", "nodes"),
            rule("proxy", "", "nodes"),
            rule("*", "", "nodes/log nodes/metrics nodes/proxy nodes/stats"),
            rule("*", "", "nodes/configz nodes/healthz nodes/pods"),
        ],
    ),
    DefaultRole(
        "system:node-bootstrapper",
        [rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests")],
    ),
    DefaultRole(
        "system:node-problem-detector", [rule("get", "", "nodes"), rule("patch", "", "nodes/status"), EVENTS]
    ),
    DefaultRole(
        "system:node-proxier",
        [
            rule("list watch", "", "endpoints services"),
            rule(READ, "", "nodes"),
            EVENTS,
            rule("list watch", "networking.k8s.io", "servicecidrs"),
            rule("list watch", "discovery.k8s.io", "endpointslices"),
        ],
        users=("system:kube-proxy",),
    ),
    DefaultRole(
        "system:persistent-volume-provisioner",
        [
            rule("create delete get list watch", "", "persistentvolumes"),
            rule("get list update watch", "", "persistentvolumeclaims"),
            rule(READ, "storage.k8s.io", "storageclasses"),
            rule("watch", "", "events"),
            EVENTS,
        ],
    ),
    DefaultRole(
        "system:volume-scheduler",
        [
            rule("get list patch update watch", "", "persistentvolumes"),
            rule(READ, "storage.k8s.io", "storageclasses"),
            rule("get list patch update watch", "", "persistentvolumeclaims"),
        ],
        users=(SCHEDULER,),
    ),
]

_DNS = [
    rule("list watch", "", "endpoints namespaces pods services"),
    rule("list watch", "discovery.k8s.io", "endpointslices"),
    rule(READ, "", "nodes"),  # their topology decides between the zones of trafficDistribution
]

# Upstream's manager takes on the ServiceAccount of each controller, and the scheduler is a process of its
# own. Here all run as the manager, so that it is given what they need together.
# Beyond that it approves what machines that join ask for, where a role lets them.
_TOGETHER = [
    *(each for rules in RULES.values() for each in rules),
    *_SCHEDULER,
    rule(
        "approve",
        "certificates.k8s.io",
        "signers",
        "kubernetes.io/kube-apiserver-client",
        "kubernetes.io/kubelet-serving",
    ),
]

OWN_ROLES = [
    # Nodes may not list each other; whoever makes the routes between them has to. Services and their
    # endpoints, which the node's proxy reads too, are for the traces that the node is asked for.
    DefaultRole(
        "clusterip:network",
        [
            rule(READ, "", "nodes"),
            rule("list", "", "services"),
            rule("list", "discovery.k8s.io", "endpointslices"),
        ],
        users=("clusterip:network",),
    ),
    DefaultRole("system:coredns", _DNS, accounts=("coredns",)),
    DefaultRole("clusterip:controllers", _TOGETHER, users=(MANAGER,)),
]
"""What upstream's API server does not bring: its tools add the first."""
