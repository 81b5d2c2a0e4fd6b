"""Server-side apply and the tracking of owners, by the rules that its documentation gives.

https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterip.apiserver.patch import PatchError
from clusterip.apiserver.patch.ownership import ApplyConflict, apply, track
from clusterip.apiserver.patch.ownership.paths import from_fields_v1, show, to_fields_v1
from clusterip.objects.apps.deployment import Deployment
from clusterip.objects.codec import convert, to_tree
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.service import Service

Tree = dict[str, Any]


def applied(
    live: Tree | None,
    config: Tree,
    manager: str = "me",
    *,
    type_: Any = Service,
    now: str = "t1",
    force: bool = False,
    subresource: str = "",
) -> Tree:
    before = deepcopy((live, config))
    version = "apps/v1" if type_ is Deployment else "v1"
    result = apply(
        live,
        config,
        type_,
        manager=manager,
        api_version=version,
        now=now,
        force=force,
        subresource=subresource,
    )
    assert (live, config) == before
    tree: Tree = to_tree(convert(result, type_))  # as it is stored
    return tree


def updated(
    live: Tree | None, new: Tree, manager: str = "editor", *, type_: Any = Service, **more: Any
) -> Tree:
    version = "apps/v1" if type_ is Deployment else "v1"
    full = to_tree(convert(new, type_))
    tree: Tree = track(live, full, type_, manager=manager, api_version=version, now="t9", **more)
    return tree


def owners(tree: Tree) -> dict[str, Any]:
    """Each manager's fields, by its name."""
    return {entry["manager"]: entry["fieldsV1"] for entry in tree["metadata"].get("managedFields", [])}


def service(**spec: Any) -> Tree:
    return {"metadata": {"name": "s"}, "spec": spec}


def labelled(**labels: str) -> Tree:
    return {"metadata": {"name": "s", "labels": labels}}


class TestApply:
    def test_creating_owns_what_was_given(self) -> None:
        port = {"name": "http", "port": 80, "targetPort": 8080}
        live = applied(None, service(ports=[port], selector={"app": "x"}, externalIPs=["1.1.1.1"]))
        assert live["metadata"]["managedFields"] == [
            {
                "manager": "me",
                "operation": "Apply",
                "apiVersion": "v1",
                "time": "t1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {
                    "f:spec": {
                        "f:externalIPs": {},
                        "f:ports": {
                            'k:{"port":80,"protocol":"TCP"}': {
                                ".": {},
                                "f:name": {},
                                "f:port": {},
                                "f:targetPort": {},
                            }
                        },
                        "f:selector": {},
                    }
                },
            }
        ]

    def test_what_is_no_longer_applied_is_removed(self) -> None:
        live = applied(None, labelled(a="1", b="2"))
        live = applied(live, labelled(a="1"))
        assert live["metadata"]["labels"] == {"a": "1"}
        assert owners(live) == {"me": {"f:metadata": {"f:labels": {"f:a": {}}}}}

    def test_what_others_apply_too_stays(self) -> None:
        live = applied(None, labelled(a="1", b="2"))
        live = applied(live, labelled(b="2"), "other")
        live = applied(live, labelled(a="1"))
        assert live["metadata"]["labels"] == {"a": "1", "b": "2"}
        assert owners(live)["other"] == {"f:metadata": {"f:labels": {"f:b": {}}}}

    def test_what_others_set_stays(self) -> None:
        live = applied(None, labelled(a="1"))
        live = updated(live, live | {"metadata": live["metadata"] | {"labels": {"a": "1", "c": "3"}}})
        live = applied(live, labelled(a="2"))
        assert live["metadata"]["labels"] == {"a": "2", "c": "3"}

    def test_an_item_is_removed_with_everything_in_it(self) -> None:
        live = applied(None, service(ports=[{"port": 80}, {"port": 443}]))
        filled = deepcopy(live)
        filled["spec"]["ports"][0]["nodePort"] = 30080  # as the server does, for which nobody is the owner
        live = applied(filled, service(ports=[{"port": 443}]))
        assert live["spec"]["ports"] == [{"port": 443}]

    def test_an_optional_part_goes_with_its_defaults(self) -> None:
        config = service(
            sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 9}}
        )
        live = applied(None, config)
        live = applied(live, service(sessionAffinity="None"))
        assert "sessionAffinityConfig" not in live["spec"]

    def test_lists_keep_what_others_added_in_place(self) -> None:
        live = applied(None, {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}, type_=Pod)
        sidecar = deepcopy(live)
        sidecar["spec"]["containers"].insert(1, {"name": "sidecar"})
        live = updated(live, sidecar, "injector", type_=Pod)
        live = applied(
            live, {"spec": {"containers": [{"name": "b"}, {"name": "new"}, {"name": "a"}]}}, type_=Pod
        )
        assert [c["name"] for c in live["spec"]["containers"]] == ["sidecar", "b", "new", "a"]

    def test_sets_are_united(self) -> None:
        live = applied(None, {"metadata": {"finalizers": ["x/a"]}})
        live = applied(live, {"metadata": {"finalizers": ["x/b"]}}, "other")
        assert live["metadata"]["finalizers"] == ["x/a", "x/b"]
        assert owners(live)["other"] == {"f:metadata": {"f:finalizers": {'v:"x/b"': {}}}}
        live = applied(live, {"metadata": {}})
        assert live["metadata"]["finalizers"] == ["x/b"]
        assert "me" not in owners(live)

    def test_applying_the_same_again_changes_nothing(self) -> None:
        live = applied(None, service(ports=[{"port": 80, "protocol": "TCP"}]), now="t1")
        assert applied(live, service(ports=[{"port": 80, "protocol": "TCP"}]), now="t2") == live

    def test_a_change_gets_the_new_time(self) -> None:
        live = applied(applied(None, labelled(a="1"), now="t1"), labelled(a="2"), now="t2")
        assert live["metadata"]["managedFields"][0]["time"] == "t2"

    def test_status_belongs_to_its_subresource(self) -> None:
        config = {"status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}]}}, "spec": {"type": "NodePort"}}
        live = applied(None, config)
        assert owners(live) == {"me": {"f:spec": {"f:type": {}}}}
        live = applied(live, config, "controller", subresource="status")
        assert owners(live)["controller"] == {"f:status": {"f:loadBalancer": {"f:ingress": {}}}}
        assert live["metadata"]["managedFields"][0]["subresource"] == "status"


class TestConflicts:
    def test_another_value_conflicts(self) -> None:
        live = applied(None, service(type="NodePort"), "them")
        with pytest.raises(ApplyConflict) as raised:
            applied(live, service(type="ClusterIP"))
        error = raised.value
        assert (error.code, error.reason) == (409, "Conflict")
        assert error.message == 'Apply failed with 1 conflict: conflict with "them": .spec.type'
        (cause,) = error.causes
        assert (cause.reason, cause.message, cause.field) == (
            "FieldManagerConflict",
            'conflict with "them"',
            ".spec.type",
        )

    def test_the_same_value_is_shared(self) -> None:
        live = applied(None, service(type="NodePort"), "them")
        live = applied(live, service(type="NodePort"))
        assert owners(live)["me"] == owners(live)["them"] == {"f:spec": {"f:type": {}}}

    def test_force_takes_over(self) -> None:
        live = applied(None, service(type="NodePort"), "them")
        live = applied(live, service(type="ClusterIP"), force=True)
        assert live["spec"]["type"] == "ClusterIP"
        assert owners(live) == {"me": {"f:spec": {"f:type": {}}}}

    def test_several_are_listed_by_manager(self) -> None:
        live = applied(None, service(type="NodePort", ports=[{"port": 80, "name": "a"}]), "them")
        changed = deepcopy(live)
        changed["spec"]["sessionAffinity"] = "ClientIP"
        live = updated(live, changed)
        config = service(type="ClusterIP", sessionAffinity="None", ports=[{"port": 80, "name": "b"}])
        with pytest.raises(ApplyConflict) as raised:
            applied(live, config)
        assert raised.value.message == (
            "Apply failed with 3 conflicts: "
            'conflicts with "editor" using v1:\n'
            "- .spec.sessionAffinity\n"
            'conflicts with "them":\n'
            '- .spec.ports[port=80,protocol="TCP"].name\n'
            "- .spec.type"
        )

    def test_kubectl_takes_over_from_its_own_client_side_apply(self) -> None:
        last = '{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"type":"NodePort"}}'
        notes = {"kubectl.kubernetes.io/last-applied-configuration": last}
        tree = {"metadata": {"name": "s", "annotations": notes}, "spec": {"type": "NodePort"}}
        live = updated(None, tree, "kubectl-client-side-apply")
        config = service(type="ClusterIP")
        with pytest.raises(ApplyConflict, match=r"kubectl-client-side-apply\" using v1: .spec.type"):
            applied(live, config)
        assert applied(live, config, "kubectl")["spec"]["type"] == "ClusterIP"

    def test_kubectl_s_annotation_says_what_it_applied_on_the_server(self) -> None:
        notes = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "<&>"}
        live = updated(None, {"metadata": {"name": "s", "annotations": notes}}, "kubectl-client-side-apply")
        config = service(type="NodePort") | {"apiVersion": "v1", "kind": "Service"}
        config["metadata"] = {"name": "s", "annotations": {"mine": "<&>"}}
        result = applied(live, config, "kubectl", force=True)["metadata"]["annotations"]
        assert result["kubectl.kubernetes.io/last-applied-configuration"] == (
            '{"apiVersion":"v1","kind":"Service","metadata":{"annotations":{"mine":"\\u003c\\u0026\\u003e"},'
            '"name":"s"},"spec":{"type":"NodePort"}}\n'
        )
        unchanged = applied(live, config, "other", force=True)["metadata"]["annotations"]
        assert unchanged["kubectl.kubernetes.io/last-applied-configuration"] == "{}"

    def test_to_own_what_is_so_already_is_no_change(self) -> None:
        live = applied(None, service(type="NodePort"), now="t1")
        both = applied(live, service(type="NodePort"), "other", now="t2")
        times = {each["manager"]: each.get("time") for each in both["metadata"]["managedFields"]}
        assert times == {"me": "t1", "other": None}
        changed = applied(both, service(type="NodePort", sessionAffinity="ClientIP"), "other", now="t3")
        times = {each["manager"]: each.get("time") for each in changed["metadata"]["managedFields"]}
        assert times == {"me": "t1", "other": "t3"}

    def test_an_object_without_owners_has_one_before_the_first_apply(self) -> None:
        live = to_tree(convert(service(type="NodePort"), Service))
        with pytest.raises(ApplyConflict, match=r'conflict with "before-first-apply" using v1: .spec.type'):
            applied(live, service(type="ClusterIP"))


class TestErrors:
    def test_unknown_fields(self) -> None:
        config = service(tipe="x") | {"apiVersion": "v1", "kind": "Service"}
        with pytest.raises(
            PatchError, match=r"/s; /v1, Kind=Service\): .spec.tipe: field not declared in schema"
        ):
            applied(None, config)

    def test_managed_fields_cannot_be_applied(self) -> None:
        with pytest.raises(PatchError, match=r"metadata.managedFields must be nil") as raised:
            applied(None, {"metadata": {"managedFields": [{"manager": "x"}]}})
        assert raised.value.code == 400


class TestTrack:
    def test_creating_owns_what_is_not_there_by_itself(self) -> None:
        """As ``kubectl create deployment`` leaves it: parents that always exist are not owned."""
        template = {
            "metadata": {"labels": {"app": "x"}},
            "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Always"},
        }
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "x"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
            "template": template,
        }
        tree = updated(
            None, {"metadata": {"name": "d", "labels": {"app": "x"}}, "spec": spec}, type_=Deployment
        )
        assert owners(tree)["editor"] == {
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:selector": {},
                "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}, "f:type": {}},
                "f:template": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {
                        "f:containers": {
                            'k:{"name":"c"}': {".": {}, "f:image": {}, "f:name": {}, "f:resources": {}}
                        },
                        "f:restartPolicy": {},
                    },
                },
            },
        }

    def test_a_change_takes_the_field(self) -> None:
        live = applied(None, service(type="NodePort", sessionAffinity="None"), "them")
        changed = deepcopy(live)
        changed["spec"]["type"] = "ClusterIP"
        live = updated(live, changed)
        assert owners(live) == {
            "them": {"f:spec": {"f:sessionAffinity": {}}},
            "editor": {"f:spec": {"f:type": {}}},
        }

    def test_a_removed_field_has_no_owner(self) -> None:
        live = updated(None, labelled(a="1", b="2"))
        live = updated(live, live | {"metadata": live["metadata"] | {"labels": {"a": "1"}}})
        assert owners(live) == {"editor": {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}}

    def test_writing_the_same_changes_nothing(self) -> None:
        live = updated(None, labelled(a="1"))
        assert updated(live, live, "someone else") == live

    def test_clients_that_drop_managed_fields_lose_nothing(self) -> None:
        live = updated(None, labelled(a="1"))
        assert (
            updated(live, labelled(a="1"))["metadata"]["managedFields"] == live["metadata"]["managedFields"]
        )

    def test_an_empty_entry_resets(self) -> None:
        live = updated(None, labelled(a="1"))
        new = live | {"metadata": live["metadata"] | {"managedFields": [{}]}}
        assert owners(updated(live, new)) == {}

    def test_objects_without_owners_stay_so(self) -> None:
        live = to_tree(convert(labelled(a="1"), Service))
        assert owners(updated(live, labelled(a="2"))) == {}

    def test_old_managers_are_joined(self) -> None:
        live = updated(None, labelled(first=""))
        for n in range(15):
            labels = live["metadata"]["labels"] | {f"l{n:02}": ""}
            live = updated(live, live | {"metadata": live["metadata"] | {"labels": labels}}, f"m{n:02}")
        names = set(owners(live))
        assert len(names) == 10
        assert "ancient-changes" in names
        assert {"m14", "m13", "m12"} <= names
        labels = ["f:first", *(f"f:l{n:02}" for n in range(15))]
        held = [label for fields in owners(live).values() for label in fields["f:metadata"]["f:labels"]]
        assert sorted(label for label in held if label != ".") == labels


ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"'])


@given(st.frozensets(st.lists(ELEMENTS, min_size=1, max_size=4).map(tuple), max_size=20))
def test_fields_v1_says_exactly_which_paths(paths: frozenset[tuple[str, ...]]) -> None:
    assert from_fields_v1(to_fields_v1(paths)) == paths


def test_how_paths_are_shown() -> None:
    assert show(("f:spec", 'k:{"name":"x","port":80}', 'v:"y"')) == '.spec[name="x",port=80][="y"]'
