"""Makes clusterip/objects/protobuf/fields.txt from Kubernetes' own ``generated.proto`` files.

    python tools/protobuf_fields.py PATH/TO/kubernetes > clusterip/objects/protobuf/fields.txt

One line a message: its name, then ``number name type`` for each field, separated by commas. A type is
a scalar, a message, or one of these after ``[]`` (repeated) or ``{}`` (a map from strings).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOTS = {
    "core.v1": "Binding ConfigMap Endpoints Event Namespace Node Pod PodTemplateSpec ReplicationController "
    "Secret Service ServiceAccount",
    "apps.v1": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "authentication.v1": "SelfSubjectReview TokenRequest TokenReview",
    "authorization.v1": "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview "
    "SubjectAccessReview",
    "autoscaling.v1": "Scale",
    "coordination.v1": "Lease",
    "discovery.v1": "EndpointSlice",
    "events.v1": "Event",
    "networking.v1": "IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR",
    "policy.v1": "Eviction PodDisruptionBudget",
    "rbac.v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "meta.v1": "DeleteOptions",
}
_SCALARS = {"string", "bytes", "bool", "int32", "int64", "uint32", "uint64", "double", "float"}
_MESSAGE = re.compile(r"^message (\w+) \{(.*?)^\}", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(
    r"^\s*(optional|repeated)?\s*(map<\s*string\s*,\s*[.\w]+\s*>|[.\w]+) (\w+) = (\d+)", re.MULTILINE
)


def short(package: str) -> str:
    """``k8s.io.api.core.v1`` -> ``core.v1``."""
    parts = package.strip(".").split(".")
    return ".".join(parts[-2:]) if parts[-1].startswith("v") else parts[-1]


def read(root: Path) -> dict[str, list[tuple[int, str, str]]]:
    messages: dict[str, list[tuple[int, str, str]]] = {}
    for path in sorted(root.glob("staging/src/k8s.io/**/generated.proto")):
        text = path.read_text()
        package_line = re.search(r"^package ([.\w]+);", text, re.MULTILINE)
        assert package_line is not None, path
        package = short(package_line[1])
        if "testapigroup" in str(path):
            continue
        plain = re.sub(r"//[^\n]*", "", text)
        for name, body in _MESSAGE.findall(plain):
            fields = [
                (int(number), field, _type(label, kind, package))
                for label, kind, field, number in _FIELD.findall(body)
            ]
            messages[f"{package}.{name}"] = fields
    return messages


def _type(label: str, kind: str, package: str) -> str:
    prefix = "[]" if label == "repeated" else ""
    if kind.startswith("map"):
        prefix, kind = "{}", kind.split(",")[1].strip(" >")
    if kind in _SCALARS:
        return prefix + kind
    if "." in kind:
        where, _, name = kind.strip(".").rpartition(".")
        return f"{prefix}{short(where)}.{name}"
    return f"{prefix}{package}.{kind}"


def main() -> None:
    messages = read(Path(sys.argv[1]))
    wanted = [f"{package}.{kind}" for package, kinds in ROOTS.items() for kind in kinds.split()]
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in seen or name not in messages:
            continue
        seen.add(name)
        wanted += [kind.lstrip("[]{}") for _, _, kind in messages[name]]
    for name in sorted(seen):
        fields = ",".join(f"{number} {field} {kind}" for number, field, kind in messages[name])
        print(f"{name}:{fields}")


if __name__ == "__main__":
    main()
