"""What people may do by default: ``cluster-admin``, ``admin``, ``edit``, ``view``, discovery."""

from __future__ import annotations

from clusterip.apiserver.authz.policy.rules import (
    EVERYTHING,
    RBAC_GROUP,
    READ,
    WRITE,
    DefaultRole,
    rule,
    urls,
)

_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
_APPS = (
    "daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale"
)

_VIEW = [
    rule(
        READ,
        "",
        "bindings configmaps endpoints events limitranges namespaces namespaces/status "
        "persistentvolumeclaims persistentvolumeclaims/status pods pods/log pods/status "
        "replicationcontrollers replicationcontrollers/scale replicationcontrollers/status "
        "resourcequotas resourcequotas/status "
        "serviceaccounts services services/status",
    ),
    rule(READ, "discovery.k8s.io", "endpointslices"),
    rule(
        READ,
        "apps",
        "controllerrevisions daemonsets/status deployments/status replicasets/status statefulsets/status "
        + _APPS,
    ),
    rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    rule(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
]

_EDIT = [
    rule(READ, "", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    rule("impersonate", "", "serviceaccounts"),
    rule(WRITE, "", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    rule("create", "", "pods/eviction"),
    rule(
        WRITE,
        "",
        "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale "
        "secrets serviceaccounts services services/proxy",
    ),
    rule("create", "", "serviceaccounts/token"),
    rule(WRITE, "apps", f"deployments/rollback {_APPS}"),
    rule(WRITE, "policy", "poddisruptionbudgets"),
    rule(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    rule(EVERYTHING, "coordination.k8s.io", "leases"),
]

_ADMIN = [
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    rule(EVERYTHING, RBAC_GROUP, "rolebindings roles"),
]

_DISCOVERY = [
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
    "/version/",
]
_AUTHENTICATED, _UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"

ROLES = [
    DefaultRole(
        "cluster-admin",
        [rule("*", "*", "*"), urls("*", "*")],
        groups=("system:masters",),
    ),
    DefaultRole("system:discovery", [urls("get", *_DISCOVERY)], groups=(_AUTHENTICATED,)),
    DefaultRole(
        "system:basic-user",
        [
            rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
            rule("create", "authentication.k8s.io", "selfsubjectreviews"),
        ],
        groups=(_AUTHENTICATED,),
    ),
    DefaultRole(
        "system:public-info-viewer",
        [urls("get", "/healthz", "/livez", "/readyz", "/version", "/version/")],
        groups=(_AUTHENTICATED, _UNAUTHENTICATED),
    ),
    DefaultRole(
        "system:monitoring",
        [
            urls(
                "get",
                *[
                    "/healthz",
                    "/healthz/*",
                    "/livez",
                    "/livez/*",
                    "/metrics",
                    "/metrics/slis",
                    "/readyz",
                    "/readyz/*",
                ],
            )
        ],
        groups=("system:monitoring",),
    ),
    DefaultRole(
        "system:service-account-issuer-discovery",
        [urls("get", "/.well-known/openid-configuration", "/openid/v1/jwks")],
        groups=("system:serviceaccounts",),
    ),
    DefaultRole("admin", [], aggregates=(f"{_AGGREGATE}admin",)),
    DefaultRole("edit", [], {f"{_AGGREGATE}admin": "true"}, aggregates=(f"{_AGGREGATE}edit",)),
    DefaultRole("view", [], {f"{_AGGREGATE}edit": "true"}, aggregates=(f"{_AGGREGATE}view",)),
    DefaultRole("system:aggregate-to-admin", _ADMIN, {f"{_AGGREGATE}admin": "true"}),
    DefaultRole("system:aggregate-to-edit", _EDIT, {f"{_AGGREGATE}edit": "true"}),
    DefaultRole("system:aggregate-to-view", _VIEW, {f"{_AGGREGATE}view": "true"}),
]
