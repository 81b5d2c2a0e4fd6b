"""Options of writes, as kube-apiserver 1.36 refuses them."""

from __future__ import annotations

import pytest

from clusterip.apiserver.call import told
from clusterip.apiserver.router import parse
from clusterip.apiserver.status import StatusError
from clusterip.apiserver.write_options import check_write_options


@pytest.mark.parametrize(
    ("method", "query", "kind", "told"),
    [
        (
            "POST",
            "dryRun=Some",
            "CreateOptions",
            'dryRun: Unsupported value: ["Some"]: supported values: "All"',
        ),
        (
            "POST",
            "fieldValidation=Bad",
            "CreateOptions",
            'fieldValidation: Unsupported value: "Bad": supported values: "", "Ignore", "Strict", "Warn"',
        ),
        (
            "PUT",
            "fieldManager=" + "x" * 129,
            "UpdateOptions",
            "fieldManager: Too long: may not be more than 128 bytes",
        ),
        (
            "PUT",
            "fieldManager=a%07",
            "UpdateOptions",
            'fieldManager: Invalid value: "a\\a": invalid character U+0007 (at position 1)',
        ),
        (
            "PATCH",
            "force=true",
            "PatchOptions",
            "force: Forbidden: may not be specified for non-apply patch",
        ),
    ],
)
def test_refused(method: str, query: str, kind: str, told: str) -> None:
    info = parse(method, f"/api/v1/namespaces/ns/services/x?{query}")
    with pytest.raises(StatusError) as raised:
        check_write_options(info)
    answer = raised.value.status
    assert (answer.code, answer.reason) == (422, "Invalid")
    assert answer.message == f'{kind}.meta.k8s.io "" is invalid: {told}'
    assert answer.details is not None
    assert (answer.details.group, answer.details.kind) == ("meta.k8s.io", kind)
    assert answer.details.causes[0].field == told.partition(":")[0]


def test_applying_needs_a_manager() -> None:
    info = parse("PATCH", "/api/v1/namespaces/ns/services/x?force=true")
    with pytest.raises(StatusError, match="fieldManager: Required value: is required for apply patch"):
        check_write_options(info, applies=True)
    check_write_options(parse("PATCH", "/api/v1/services?fieldManager=me&force=true"), applies=True)


def test_many_warnings_are_cut() -> None:
    assert told(["a", "b", "a", ""]) == ["a", "b"]
    long = [f"{i}" + "f" * 300 for i in range(20)]
    sent = told(long)
    assert (len(sent), {len(text) for text in sent}) == (16, {256})
