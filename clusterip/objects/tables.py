"""What the kinds' tables share: columns that all have, and how lists are shortened.

Cells follow ``pkg/printers/internalversion/printers.go``; a server always sends the wide form and
``kubectl`` leaves out the columns whose priority is above 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clusterip.objects.core.containers import Container
from clusterip.objects.registry import Column

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"

NAME_COLUMN = Column("Name", format="name", description="The name, unique within its namespace.")
AGE_COLUMN = Column("Age", description="How long ago the object was created.")

_SHOWN = 3


def wide(name: str, description: str = "") -> Column:
    """A column for ``-o wide`` only."""
    return Column(name, description=description, priority=1)


def labels(selected: Mapping[str, str]) -> str:
    """Labels as ``a=b,c=d``, sorted, or ``<none>``."""
    return ",".join(f"{key}={value}" for key, value in sorted(selected.items())) or NONE


def shortened(items: Iterable[str]) -> str:
    """The first three items and how many more there are: ``a,b,c + 4 more...``."""
    every = list(items)
    shown = ",".join(every[:_SHOWN])
    if len(every) > _SHOWN:
        return f"{shown} + {len(every) - _SHOWN} more..."
    return shown


def container_cells(containers: Iterable[Container]) -> tuple[str, str]:
    """The names and the images of a template's containers."""
    every = list(containers)
    return ",".join(c.name for c in every), ",".join(c.image for c in every)
