"""Strategic merge patch, on the kinds that it is used on.

The cases are those of upstream's strategicpatch/patch_test.go, told with Services and Deployments.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from clusterip.apiserver.patch import PatchError, apply_patch
from clusterip.objects.apps.deployment import Deployment
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.service import Service

STRATEGIC = "application/strategic-merge-patch+json"


def patched(tree: dict[str, Any], patch: Any, type_: Any = Service) -> Any:
    """The result, after making sure that nothing passed in was modified."""
    before = deepcopy((tree, patch))
    result = apply_patch(STRATEGIC, tree, patch, type_)
    assert (tree, patch) == before
    return result


def ports(*numbers: int, **more: Any) -> dict[str, Any]:
    return {"spec": {"ports": [{"port": number} | more for number in numbers]}}


def containers(*names: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": name} for name in names]}}


def finalizers(*names: str) -> dict[str, Any]:
    return {"metadata": {"finalizers": list(names)}}


class TestObjects:
    def test_members_are_set_and_removed(self) -> None:
        tree = {"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"type": "ClusterIP"}}
        patch = {"metadata": {"labels": {"a": None, "c": "3"}}, "spec": {"type": "NodePort"}}
        wanted = {"metadata": {"labels": {"b": "2", "c": "3"}}, "spec": {"type": "NodePort"}}
        assert patched(tree, patch) == wanted

    def test_nulls_are_not_added(self) -> None:
        patch = {"metadata": {"labels": {"a": None, "b": "1"}}, "spec": None}
        assert patched({}, patch) == {"metadata": {"labels": {"b": "1"}}}

    def test_an_atomic_map_still_merges(self) -> None:
        """Only server-side apply has ``selector`` as one value."""
        tree, patch = {"spec": {"selector": {"a": "1"}}}, {"spec": {"selector": {"b": "2"}}}
        assert patched(tree, patch) == {"spec": {"selector": {"a": "1", "b": "2"}}}

    def test_replace_takes_the_patch_as_it_is(self) -> None:
        tree, patch = (
            {"spec": {"selector": {"a": "1"}}},
            {"spec": {"selector": {"$patch": "replace", "b": "2"}}},
        )
        assert patched(tree, patch) == {"spec": {"selector": {"b": "2"}}}

    def test_delete_empties_it(self) -> None:
        tree, patch = {"spec": {"selector": {"a": "1"}}}, {"spec": {"selector": {"$patch": "delete"}}}
        assert patched(tree, patch) == {"spec": {"selector": {}}}

    def test_a_directive_that_meets_nothing_leaves_nothing(self) -> None:
        assert patched({"spec": {}}, {"spec": {"selector": {"$patch": "delete"}}}) == {"spec": {}}

    def test_another_type_replaces(self) -> None:
        tree, patch = {"spec": {"ports": [{"port": 1, "targetPort": 80}]}}, ports(1, targetPort="http")
        assert patched(tree, patch) == ports(1, targetPort="http")

    def test_retain_keys_drops_the_alternatives(self) -> None:
        tree = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
        patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
        assert patched(tree, patch, Deployment) == {"spec": {"strategy": {"type": "Recreate"}}}

    def test_retain_keys_in_an_item(self) -> None:
        tree = {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}
        patch = {
            "spec": {
                "volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]
            }
        }
        wanted = {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}}
        assert patched(tree, patch, Pod) == wanted


class TestListsWithKeys:
    def test_an_item_is_changed_by_its_key(self) -> None:
        tree = {"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 443}]}}
        assert patched(tree, ports(80, name="http")) == {
            "spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "http"}, {"port": 443}]}
        }

    def test_a_new_item_is_added(self) -> None:
        assert patched(ports(80), ports(443)) == ports(443, 80)

    def test_an_item_is_deleted(self) -> None:
        patch = {"spec": {"ports": [{"port": 80, "$patch": "delete"}]}}
        assert patched(ports(80, 443), patch) == ports(443)
        assert patched(ports(443), patch) == ports(443)

    def test_the_list_is_replaced(self) -> None:
        patch = {"spec": {"ports": [{"$patch": "replace"}, {"port": 8080}]}}
        assert patched(ports(80, 443), patch) == ports(8080)

    def test_items_of_a_new_list_lose_their_directives(self) -> None:
        patch = {"spec": {"ports": [{"port": 80, "$patch": "delete"}, {"port": 443, "name": None}]}}
        assert patched({"spec": {}}, patch) == ports(443)

    def test_lists_within_items_merge_too(self) -> None:
        tree = {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": "1"}]}]}}
        patch = {"spec": {"containers": [{"name": "c", "env": [{"name": "B", "value": "2"}]}]}}
        env = [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]
        assert patched(tree, patch, Pod) == {"spec": {"containers": [{"name": "c", "env": env}]}}

    def test_the_order_of_the_patch_wins(self) -> None:
        patch = {"spec": {"containers": [{"name": "3", "image": "x"}, {"name": "1", "image": "y"}]}}
        result = patched(containers("1", "2", "3"), patch, Pod)
        assert [c["name"] for c in result["spec"]["containers"]] == ["2", "3", "1"]

    def test_an_order_of_its_own(self) -> None:
        patch = {
            "spec": {
                "$setElementOrder/containers": [{"name": "3"}, {"name": "1"}, {"name": "4"}],
                "containers": [{"name": "4"}],
            }
        }
        assert patched(containers("1", "2", "3"), patch, Pod) == containers("2", "3", "1", "4")

    def test_an_order_without_changes(self) -> None:
        patch = {"spec": {"$setElementOrder/containers": [{"name": "2"}, {"name": "1"}]}}
        assert patched(containers("1", "2"), patch, Pod) == containers("2", "1")
        assert patched({"spec": {}}, patch, Pod) == {"spec": {}}

    def test_what_kubectl_apply_sends_when_a_port_is_removed(self) -> None:
        tree = {
            "spec": {
                "ports": [
                    {"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080},
                    {"name": "https", "port": 443, "protocol": "TCP", "nodePort": 30443},
                ]
            }
        }
        patch = {
            "spec": {
                "$setElementOrder/ports": [{"port": 443}],
                "ports": [{"$patch": "delete", "port": 80}],
            }
        }
        assert patched(tree, patch) == {"spec": {"ports": [tree["spec"]["ports"][1]]}}


class TestOtherLists:
    def test_scalars_that_merge_are_united(self) -> None:
        assert patched(finalizers("a", "b"), finalizers("b", "c")) == finalizers("a", "b", "c")

    def test_scalars_are_deleted_one_by_one(self) -> None:
        patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "x"]}}
        assert patched(finalizers("a", "b"), patch) == finalizers("b")
        assert patched({"metadata": {}}, patch) == {"metadata": {}}

    def test_scalars_are_ordered(self) -> None:
        patch = {
            "metadata": {
                "$setElementOrder/finalizers": ["c", "a"],
                "$deleteFromPrimitiveList/finalizers": ["b"],
                "finalizers": ["c"],
            }
        }
        assert patched(finalizers("a", "b"), patch) == finalizers("c", "a")

    def test_lists_without_a_key_are_replaced(self) -> None:
        tree, patch = {"spec": {"externalIPs": ["1.1.1.1"]}}, {"spec": {"externalIPs": ["2.2.2.2"]}}
        assert patched(tree, patch) == patch


class TestErrors:
    @pytest.mark.parametrize(
        ("tree", "patch", "code", "message"),
        [
            ({}, [], 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
            (
                ports(80),
                {"spec": {"ports": [{"name": "http"}]}},
                500,
                "map: map[name:http] does not contain declared merge key: port",
            ),
            (
                ports(80),
                {"spec": {"ports": [{"port": 80, "$patch": "merge"}]}},
                500,
                "merging lists cannot yet be specified in the patch",
            ),
            (
                ports(80),
                {"spec": {"ports": [{"port": 80, "$patch": "spam"}]}},
                500,
                "unknown patch type: spam in map: map[$patch:spam port:80]",
            ),
            (
                {"spec": {"type": "ClusterIP"}},
                {"spec": {"$patch": "spam"}},
                500,
                "unknown patch type: spam in map: map[$patch:spam]",
            ),
            (ports(80), {"spec": {"ports": ["x"]}}, 500, "list element types are not identical: "),
            (
                {},
                {"spec": {"$retainKeys": "x"}},
                400,
                "invalid patch format of retainKeys",
            ),
            (
                {"spec": {"type": "x"}},
                {"spec": {"$retainKeys": ["type"], "clusterIP": "None"}},
                400,
                "invalid patch format of retainKeys",
            ),
            (
                finalizers("a"),
                {"metadata": {"$deleteFromPrimitiveList": ["a"]}},
                400,
                "invalid patch format of primitive list",
            ),
            (
                finalizers("a"),
                {"metadata": {"$setElementOrder": ["a"]}},
                400,
                "invalid patch format of setElementOrder list",
            ),
            (
                ports(80, 443),
                {"spec": {"$setElementOrder/ports": [{"port": 80}], "ports": [{"port": 443}]}},
                500,
                "The order in patch list:\n[map[port:443]]\n doesn't match $setElementOrder list:\n[map[port",
            ),
            (
                ports(80),
                {"spec": {"$setElementOrder/ports": {"port": 80}}},
                500,
                "expected a []interface {}, but received a map[string]interface {}",
            ),
        ],
    )
    def test_message(self, tree: Any, patch: Any, code: int, message: str) -> None:
        with pytest.raises(PatchError) as raised:
            patched({"spec": {}, "metadata": {}} | tree, patch)
        assert raised.value.code == code
        assert raised.value.message.startswith(message)

    def test_lists_of_lists(self) -> None:
        with pytest.raises(PatchError) as raised:
            patched(finalizers("a"), {"metadata": {"finalizers": [["a"]]}})
        assert raised.value.code == 500
        with pytest.raises(PatchError, match="lists of lists are not supported") as raised:
            patched({"metadata": {"finalizers": [["a"]]}}, finalizers("a"))
        assert raised.value.code == 422
