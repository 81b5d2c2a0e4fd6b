"""Patches: how a client changes a part of an object without sending all of it."""

from clusterip.apiserver.patch.dispatch import CONTENT_TYPES, apply_patch
from clusterip.apiserver.patch.errors import PatchError

__all__ = ["CONTENT_TYPES", "PatchError", "apply_patch"]
