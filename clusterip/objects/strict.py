"""Finding what a client wrote that no field takes: a typing error in nearly every case."""

from __future__ import annotations

from typing import Any

from clusterip.objects.fields import fields_of, is_struct, item_type


def unknown_fields(tree: Any, type_: Any) -> list[str]:
    """The paths in decoded JSON that ``type_`` has no field for, as ``spec.ports[0].foo``.

    ``fieldValidation=Strict`` rejects them and ``Warn`` reports them (``unknown field "..."``). They come in
    the order of the text; what is below an unknown field is not reported again.
    """
    found: list[str] = []
    _walk(tree, type_, "", found)
    return found


def _walk(tree: Any, type_: Any, path: str, found: list[str]) -> None:
    if isinstance(tree, dict) and is_struct(type_):
        fields = fields_of(type_)
        for name, value in tree.items():
            where = f"{path}.{name}" if path else name
            field = fields.get(name)
            if field is None:
                found.append(where)
            elif isinstance(value, dict | list):
                _walk(value, field.type, where, found)
        return
    item = item_type(type_)
    if item is None:
        return
    if isinstance(tree, list):
        for i, value in enumerate(tree):
            _walk(value, item, f"{path}[{i}]", found)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            _walk(value, item, f"{path}.{key}", found)
