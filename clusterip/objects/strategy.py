"""What the kinds' strategies share: which part of an object a request may change.

A create never sets status, a spec update never changes it, a status update changes nothing else
(upstream: ``pkg/registry/<group>/<kind>/strategy.go``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusterip.objects.codec import copy
from clusterip.objects.meta import Object


def start_generation(obj: Object) -> None:
    obj.metadata.generation = 1


def keep_status(new: Any, old: Any) -> None:
    """An update of the main resource leaves status as it was."""
    new.status = copy(old.status)


def bump_generation(new: Any, old: Any, *, annotations: bool = False) -> None:
    """Count a change of spec (or, for Deployments, of annotations) in ``metadata.generation``."""
    changed = new.spec != old.spec or (annotations and new.metadata.annotations != old.metadata.annotations)
    new.metadata.generation = old.metadata.generation + 1 if changed else old.metadata.generation


def keep_spec(new: Any, old: Any) -> None:
    """An update of ``/status`` leaves spec as it was."""
    new.spec = copy(old.spec)
    new.metadata.generation = old.metadata.generation


def drop_status(status_type: Callable[[], Any]) -> Callable[[Any], None]:
    """A ``prepare_create`` that empties status."""

    def prepare(obj: Any) -> None:
        obj.status = status_type()

    return prepare
