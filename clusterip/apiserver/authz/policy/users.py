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
_AUTHENTICATED, _UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"

_VIEW = [
    rule(
        READ,
        "",
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
        "replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status",
    ),
    rule(
        READ,
        "",
        "bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status "
        "resourcequotas resourcequotas/status",
    ),
    rule(READ, "", "namespaces"),
    rule(READ, ("", "events.k8s.io"), "events"),
    rule(READ, "discovery.k8s.io", "endpointslices"),
    rule(
        READ,
        "apps",
        "controllerrevisions daemonsets daemonsets/status deployments deployments/scale "
        "deployments/status replicasets replicasets/scale replicasets/status statefulsets "
        "statefulsets/scale statefulsets/status",
    ),
    rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    rule(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    rule(
        READ,
        "extensions",
        "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses "
        "ingresses/status networkpolicies replicasets replicasets/scale replicasets/status "
        "replicationcontrollers/scale",
    ),
    rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    rule(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    rule(READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
]

_EDIT = [
    rule(READ, "", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    rule("impersonate", "", "serviceaccounts"),
    rule(WRITE, "", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    rule("create", "", "pods/eviction"),
    rule(
        WRITE,
        "",
        "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
        "serviceaccounts services services/proxy",
    ),
    rule("create", "", "serviceaccounts/token"),
    rule(WRITE, ("", "events.k8s.io"), "events"),
    rule(
        WRITE,
        "apps",
        "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale "
        "statefulsets statefulsets/scale",
    ),
    rule(WRITE, "autoscaling", "horizontalpodautoscalers"),
    rule(WRITE, "batch", "cronjobs jobs"),
    rule(
        WRITE,
        "extensions",
        "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies "
        "replicasets replicasets/scale replicationcontrollers/scale",
    ),
    rule(WRITE, "policy", "poddisruptionbudgets"),
    rule(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    rule(EVERYTHING, "coordination.k8s.io", "leases"),
    rule(WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
]

_ADMIN = [
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    rule(EVERYTHING, RBAC_GROUP, "rolebindings roles"),
]

ROLES = [
    DefaultRole("cluster-admin", [rule("*", "*", "*"), urls("*", "*")], groups=("system:masters",)),
    DefaultRole(
        "system:discovery",
        [
            urls(
                "get",
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
            )
        ],
        groups=(_AUTHENTICATED,),
    ),
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
                "/flagz",
                "/healthz",
                "/healthz/*",
                "/livez",
                "/livez/*",
                "/metrics",
                "/metrics/slis",
                "/readyz",
                "/readyz/*",
                "/statusz",
            ),
            rule("get", "", "nodes/metrics"),
        ],
        groups=("system:monitoring",),
    ),
    DefaultRole(
        "system:service-account-issuer-discovery",
        [
            urls(
                "get",
                "/.well-known/openid-configuration",
                "/.well-known/openid-configuration/",
                "/openid/v1/jwks",
                "/openid/v1/jwks/",
            )
        ],
        groups=("system:serviceaccounts",),
    ),
    DefaultRole("admin", [], aggregates=(f"{_AGGREGATE}admin",)),
    DefaultRole("edit", [], {f"{_AGGREGATE}admin": "true"}, aggregates=(f"{_AGGREGATE}edit",)),
    DefaultRole("view", [], {f"{_AGGREGATE}edit": "true"}, aggregates=(f"{_AGGREGATE}view",)),
    DefaultRole("system:aggregate-to-admin", _ADMIN, {f"{_AGGREGATE}admin": "true"}),
    DefaultRole("system:aggregate-to-edit", _EDIT, {f"{_AGGREGATE}edit": "true"}),
    DefaultRole("system:aggregate-to-view", _VIEW, {f"{_AGGREGATE}view": "true"}),
]
