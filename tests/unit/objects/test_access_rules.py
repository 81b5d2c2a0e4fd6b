"""Roles, their bindings, and PodDisruptionBudgets."""

import pytest

from clusterip.objects.codec import convert, copy
from clusterip.objects.policy.poddisruptionbudget import PODDISRUPTIONBUDGETS
from clusterip.objects.rbac.clusterrole import CLUSTERROLES
from clusterip.objects.rbac.clusterrolebinding import CLUSTERROLEBINDINGS
from clusterip.objects.rbac.role import ROLES
from clusterip.objects.rbac.rolebinding import ROLEBINDINGS


def made(resource, **fields):
    namespace = "default" if resource.namespaced else ""
    metadata = {"name": "system:x", "namespace": namespace, "resourceVersion": "1"}
    result = convert({"metadata": metadata, **fields}, resource.type)
    resource.set_defaults(result)
    return result


def texts(errors):
    return [str(error) for error in errors]


@pytest.mark.parametrize(
    ("resource", "rule", "expected"),
    [
        (ROLES, {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}, []),
        (
            ROLES,
            {},
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
            ],
        ),
        (
            ROLES,
            {"verbs": ["get"], "nonResourceURLs": ["/x"]},
            [
                'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply '
                "to non-resource URLs"
            ],
        ),
        (CLUSTERROLES, {"verbs": ["get"], "nonResourceURLs": ["/x"]}, []),
        (
            CLUSTERROLES,
            {"verbs": ["get"], "nonResourceURLs": ["/x"], "resources": ["pods"]},
            [
                'rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both '
                "regular resources and "
                "non-resource URLs"
            ],
        ),
    ],
)
def test_rules(resource, rule, expected):
    assert texts(resource.validate(made(resource, rules=[rule]))) == expected


def test_bindings_fill_in_groups():
    binding = made(
        ROLEBINDINGS, subjects=[{"kind": "User", "name": "jane"}], roleRef={"kind": "Role", "name": "r"}
    )
    assert ROLEBINDINGS.validate(binding) == []
    assert binding.roleRef.apiGroup == binding.subjects[0].apiGroup == "rbac.authorization.k8s.io"
    assert ROLEBINDINGS.row(binding)[1:2] + ROLEBINDINGS.row(binding)[3:] == ["Role/r", "jane", "", ""]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ({"kind": "ServiceAccount", "name": "a"}, ["subjects[0].namespace: Required value"]),
        (
            {"kind": "Robot", "name": "a"},
            [
                'subjects[0].kind: Unsupported value: "Robot": supported values: '
                '"ServiceAccount", "User", "Group"'
            ],
        ),
        ({"kind": "Group"}, ["subjects[0].name: Required value"]),
    ],
)
def test_subjects(subject, expected):
    binding = made(CLUSTERROLEBINDINGS, subjects=[subject], roleRef={"kind": "ClusterRole", "name": "r"})
    assert texts(CLUSTERROLEBINDINGS.validate(binding)) == expected


def test_the_role_of_a_binding_stays():
    old = made(CLUSTERROLEBINDINGS, roleRef={"kind": "ClusterRole", "name": "r"})
    new = copy(old)
    new.roleRef.name = "other"
    assert texts(CLUSTERROLEBINDINGS.validate_update(new, old)) == [
        "roleRef: Invalid value: "
        '{"APIGroup":"rbac.authorization.k8s.io","Kind":"ClusterRole","Name":"other"}: '
        "cannot change roleRef"
    ]
    new.roleRef.kind = "Role"
    assert 'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"' in texts(
        CLUSTERROLEBINDINGS.validate(new)
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"minAvailable": 1}, []),
        ({"maxUnavailable": "50%"}, []),
        (
            {"minAvailable": "150%"},
            ['spec.minAvailable: Invalid value: "150%": must not be greater than 100%'],
        ),
        ({"minAvailable": -1}, ["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"]),
        (
            {"unhealthyPodEvictionPolicy": "Never"},
            [
                'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: '
                '"AlwaysAllow", '
                '"IfHealthyBudget"'
            ],
        ),
        (
            {"minAvailable": 1, "maxUnavailable": 1},
            [
                'spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":1,'
                '"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set'
            ],
        ),
    ],
)
def test_budgets(spec, expected):
    budget = made(PODDISRUPTIONBUDGETS, spec=spec)
    budget.metadata.name = "x"
    assert texts(PODDISRUPTIONBUDGETS.validate(budget)) == expected
