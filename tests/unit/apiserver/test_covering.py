"""Whether rules allow all that other rules do, and how what is lacking is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterip.apiserver.authz.covering import compact, missing
from clusterip.apiserver.authz.escalation import describe
from clusterip.apiserver.authz.matching import covers
from clusterip.apiserver.authz.policy.rules import rule, urls
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.rbac.rules import PolicyRule

PODS = rule("get list", "", "pods")


@pytest.mark.parametrize(
    ("owned", "wanted"),
    [
        ([PODS], [rule("get", "", "pods")]),
        ([rule("get", "", "pods"), rule("list", "", "pods")], [PODS]),
        ([rule("*", "*", "*")], [PODS, rule("delete", "apps", "deployments/scale", "x")]),
        ([rule("get", "", "pods")], [rule("get", "", "pods", "a", "b")]),
        ([rule("get", "", "pods", "a", "b")], [rule("get", "", "pods", "b")]),
        ([rule("update", "apps", "*/scale")], [rule("update", "apps", "deployments/scale")]),
        ([urls("get", "/healthz/*")], [urls("get", "/healthz/etcd")]),
        ([urls("*", "*")], [urls("get post", "/a", "/b/*")]),
        ([], []),
        ([], [PolicyRule(verbs=["get"])]),
    ],
)
def test_covered(owned: list[PolicyRule], wanted: list[PolicyRule]) -> None:
    assert missing(owned, wanted) == []


@pytest.mark.parametrize(
    ("owned", "wanted", "lacking"),
    [
        ([PODS], [rule("get delete", "", "pods")], [rule("delete", "", "pods")]),
        ([PODS], [rule("*", "", "pods")], [rule("*", "", "pods")]),
        ([rule("get", "", "pods", "a")], [rule("get", "", "pods")], [rule("get", "", "pods")]),
        ([rule("get", "", "pods", "a")], [rule("get", "", "pods", "a", "b")], [rule("get", "", "pods", "b")]),
        ([rule("get", "apps", "*/scale")], [rule("get", "apps", "pods")], [rule("get", "apps", "pods")]),
        ([PODS], [rule("get", "", "pods/log")], [rule("get", "", "pods/log")]),
        ([urls("get", "/healthz")], [urls("get", "/healthz/*")], [urls("get", "/healthz/*")]),
        ([rule("*", "*", "*")], [urls("get", "/metrics")], [urls("get", "/metrics")]),
    ],
)
def test_lacking(owned: list[PolicyRule], wanted: list[PolicyRule], lacking: list[PolicyRule]) -> None:
    assert missing(owned, wanted) == lacking


def test_what_is_lacking_is_told_briefly() -> None:
    lacking = missing(
        [], [rule("get list", "", "pods secrets"), rule("get", "", "pods", "x"), urls("get", "/a")]
    )
    assert sorted(map(describe, compact(lacking))) == [
        '{APIGroups:[""], Resources:["pods"], ResourceNames:["x"], Verbs:["get"]}',
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
        '{NonResourceURLs:["/a"], Verbs:["get"]}',
    ]


VERBS, GROUPS = st.sampled_from(["get", "list", "*"]), st.sampled_from(["", "apps", "*"])
RESOURCES = st.sampled_from(["pods", "pods/log", "*/log", "*"])
RULES = st.lists(
    st.builds(
        PolicyRule,
        verbs=st.lists(VERBS, min_size=1, max_size=2),
        apiGroups=st.lists(GROUPS, min_size=1, max_size=2),
        resources=st.lists(RESOURCES, min_size=1, max_size=2),
        resourceNames=st.lists(st.sampled_from(["a", "b"]), max_size=2),
    ),
    max_size=3,
)


@given(owned=RULES, wanted=RULES)
def test_nothing_is_gained_by_what_is_covered(owned: list[PolicyRule], wanted: list[PolicyRule]) -> None:
    """No request that only ``wanted`` allows: this keeps people from granting themselves more."""
    if missing(owned, wanted):
        return
    for verb in ("get", "list", "delete"):
        for group in ("", "apps", "other"):
            for plural, subresource in (("pods", ""), ("pods", "log"), ("nodes", "log"), ("nodes", "")):
                for name in ("", "a", "b", "c"):
                    info = RequestInfo(verb, "", {})
                    info.group, info.plural, info.subresource, info.name = group, plural, subresource, name
                    if any(covers(each, info) for each in wanted):
                        assert any(covers(each, info) for each in owned)
