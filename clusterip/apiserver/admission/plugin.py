"""What an admission plugin is."""

from __future__ import annotations

from typing import Any, ClassVar

from clusterip.apiserver.admission.attributes import Attributes, Operation
from clusterip.apiserver.cache import WatchCache
from clusterip.objects.registry import Resource


class Plugin:
    """Sees the writes it is for: first to change them (``admit``), then, with all others, to judge them.

    ``name`` is upstream's, as ``--enable-admission-plugins`` takes it. A plugin that leaves ``resources``
    empty sees every resource.
    """

    name: ClassVar[str]
    operations: ClassVar[frozenset[Operation]] = frozenset(("CREATE",))
    resources: ClassVar[frozenset[Resource[Any]]] = frozenset()

    def __init__(self, cache: WatchCache) -> None:
        self.cache = cache

    async def admit(self, attributes: Attributes) -> None:
        """Complete the object. Raises StatusError if the request may not be made."""
        return

    async def validate(self, attributes: Attributes) -> None:
        """Judge the object as all plugins have left it. Raises StatusError if it is not to be."""
        return
