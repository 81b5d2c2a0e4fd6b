"""Server-side apply: who owns which field of an object (``metadata.managedFields``).

Whoever applies a configuration owns the fields in it. Two appliers who want different values of a field
are told of the conflict; a field that its last owner no longer applies is removed. Other writes own what
they change. Follows sigs.k8s.io/structured-merge-diff and k8s.io/apimachinery/pkg/util/managedfields.
"""

from clusterip.apiserver.patch.ownership.apply import ApplyConflict, apply, track
from clusterip.apiserver.patch.ownership.created import created_fields

__all__ = ["ApplyConflict", "apply", "created_fields", "track"]
