"""Columns of text, spaced as kubectl spaces them."""

from __future__ import annotations

from collections.abc import Sequence


def widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Each column's width: that of its widest cell and three spaces, but at least six, as kubectl does."""
    return [max(3, *map(len, column)) + 3 for column in zip(*rows, strict=True)] if rows else []


def line(row: Sequence[str], columns: Sequence[int]) -> str:
    """One row; its last cell is not padded."""
    cells = [cell.ljust(width) for cell, width in zip(row[:-1], columns, strict=False)]
    return "".join([*cells, row[-1]]) if row else ""


def align(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equally many cells as lines of text."""
    columns = widths(rows)
    return "\n".join(line(row, columns) for row in rows)
