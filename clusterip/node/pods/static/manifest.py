"""A static Pod: a file that says what runs on a node, whether or not there is an API server.

As upstream's ``pkg/kubelet/config/common.go``.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec
import yaml

from clusterip.objects import codec, times
from clusterip.objects.core.pod import PODS, Pod, PodStatus
from clusterip.objects.core.pod.quality import quality_of_service
from clusterip.objects.core.pod.references import MIRROR_ANNOTATION, needed_api
from clusterip.objects.core.scheduling import Toleration

HASH_ANNOTATION = "kubernetes.io/config.hash"
SOURCE_ANNOTATION = "kubernetes.io/config.source"
_SEEN_ANNOTATION = "kubernetes.io/config.seen"
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")


class ManifestError(ValueError):
    """A file holds no Pod that could run here."""


def is_static(pod: Pod) -> bool:
    """Whether a Pod is from a file, and not its mirror at the API server."""
    annotations = pod.metadata.annotations
    return annotations.get(SOURCE_ANNOTATION) == "file" and MIRROR_ANNOTATION not in annotations


def read(path: Path, node: str) -> Pod:
    """The Pod of a file, as it is to run on the node of that name.

    Its UID follows from the file: another content is another Pod.

    Raises:
        ManifestError: it is none; the message says why.
        OSError: the file cannot be read.
    """
    pod = _decoded(path.read_bytes())
    meta = pod.metadata
    text = codec.encode(pod)
    digest = hashlib.md5(b"\0".join((node.encode(), bytes(path), text)), usedforsecurity=False).hexdigest()
    meta.uid = meta.uid if _UID.fullmatch(meta.uid) else digest
    meta.name = f"{meta.name}-{node.lower()}" if meta.name else ""
    meta.namespace = meta.namespace or "default"
    meta.annotations = {key: value for key, value in meta.annotations.items() if key != MIRROR_ANNOTATION}
    meta.annotations |= {HASH_ANNOTATION: meta.uid, SOURCE_ANNOTATION: "file", _SEEN_ANNOTATION: times.now()}
    meta.creationTimestamp = meta.deletionTimestamp = None
    meta.resourceVersion = ""
    pod.spec.nodeName = node
    pod.spec.tolerations.append(Toleration(operator="Exists", effect="NoExecute"))
    PODS.set_defaults(pod)
    pod.status = PodStatus(phase="Pending", qosClass=quality_of_service(pod.spec))
    if needed := needed_api(pod.spec):
        raise ManifestError(f"static pods may not reference {needed}")
    if errors := PODS.validate(pod):
        raise ManifestError("; ".join(str(error) for error in errors))
    return pod


def _decoded(data: bytes) -> Pod:
    try:
        tree = yaml.load(data, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ManifestError(f"neither YAML nor JSON: {error}") from None
    if not isinstance(tree, dict) or (tree.get("apiVersion"), tree.get("kind")) != ("v1", "Pod"):
        raise ManifestError('not a single Pod of apiVersion "v1"')
    try:
        return codec.convert(tree, Pod)
    except msgspec.ValidationError as error:
        raise ManifestError(str(error)) from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML in which times are text, as they are in JSON."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
