"""Roles within the namespaces that belong to the cluster itself.

As ``plugin/pkg/auth/authorizer/rbac/bootstrappolicy/namespace_policy.go``.
"""

from __future__ import annotations

from clusterip.apiserver.authz.policy.components import MANAGER, SCHEDULER
from clusterip.apiserver.authz.policy.rules import EVENTS, READ, DefaultRole, rule

_LOCKING = [
    rule("create get list update watch", "coordination.k8s.io", "leases"),
    rule("create get list update watch", "coordination.k8s.io", "leasecandidates"),
]

ROLES = [
    DefaultRole(
        "extension-apiserver-authentication-reader",
        [rule(READ, "", "configmaps", "extension-apiserver-authentication")],
        users=(MANAGER, SCHEDULER),
        namespace="kube-system",
        binding="system::extension-apiserver-authentication-reader",
    ),
    DefaultRole(
        "system::leader-locking-kube-controller-manager",
        _LOCKING,
        users=(MANAGER,),
        accounts=("kube-controller-manager", "leader-election-controller"),
        namespace="kube-system",
    ),
    DefaultRole(
        "system::leader-locking-kube-scheduler",
        _LOCKING,
        users=(SCHEDULER,),
        accounts=("kube-scheduler",),
        namespace="kube-system",
    ),
    DefaultRole(
        "system:controller:bootstrap-signer",
        [rule(READ, "", "secrets")],
        accounts=("bootstrap-signer",),
        namespace="kube-system",
    ),
    DefaultRole(
        "system:controller:cloud-provider",
        [rule("create get list watch", "", "configmaps")],
        accounts=("cloud-provider",),
        namespace="kube-system",
    ),
    DefaultRole(
        "system:controller:token-cleaner",
        [rule("delete get list watch", "", "secrets"), EVENTS],
        accounts=("token-cleaner",),
        namespace="kube-system",
    ),
    DefaultRole(
        "system:controller:bootstrap-signer",
        [rule(READ, "", "configmaps"), rule("update", "", "configmaps", "cluster-info"), EVENTS],
        accounts=("bootstrap-signer",),
        namespace="kube-public",
    ),
]
