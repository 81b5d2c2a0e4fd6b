"""Writes the table in docs/metrics.md from the places in the code where metrics are made.

    python tools/metrics_table.py

It reads the source, so that metrics of modes and features that do not run here are in it too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "metrics.md"
BEGIN = "<!-- from here on written by tools/metrics_table.py -->\n"

PARTS = {"apiserver": "API server", "controllers": "controllers", "proxy": "proxy", "dns": "DNS"}
_KINDS = {
    "Counter": "counter",
    "CounterMetricFamily": "counter",
    "Gauge": "gauge",
    "GaugeMetricFamily": "gauge",
    "Histogram": "histogram",
    "HistogramMetricFamily": "histogram",
    "_histograms": "histogram",
    "_latency": "histogram",
}
_NAME = re.compile(
    r"(apiserver|clusterip|coredns|kubeproxy|kubernetes|leader_election|rest_client|workqueue)_\w+"
)


@dataclass(frozen=True, order=True)
class Family:
    """A metric: the part that has it, its name as Prometheus sees it, its type, labels and help."""

    part: str
    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


def families() -> list[Family]:
    """All metrics of all parts, sorted."""
    found: dict[tuple[str, str], Family] = {}
    for part in PARTS:
        for path in sorted((ROOT / "clusterip" / part).rglob("*.py")):
            source = path.read_text()
            if "prometheus_client" in source:
                for family in _Reader(part, ast.parse(source)).read():
                    found.setdefault((part, family.name), family)
    return sorted(found.values(), key=lambda each: (list(PARTS).index(each.part), each.name))


class _Reader:
    """Finds the metrics of one module. Names of constants are looked up in functions, then in the module."""

    def __init__(self, part: str, module: ast.Module) -> None:
        self._part = part
        self._module = module
        self._constants = _assigned(module)

    def read(self) -> Iterator[Family]:
        for scope in ast.walk(self._module):
            if isinstance(scope, ast.FunctionDef):
                yield from self._in(scope, {**self._constants, **_assigned(scope)})
        yield from self._in(self._module, self._constants)

    def _in(self, scope: ast.AST, known: dict[str, ast.expr]) -> Iterator[Family]:
        for node in ast.walk(scope):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _KINDS:
                family = self._family(node, _KINDS[node.func.id], known)
                if family is not None:
                    yield family
            elif isinstance(node, ast.Tuple):
                yield from self._listed(node)

    def _family(self, call: ast.Call, kind: str, known: dict[str, ast.expr]) -> Family | None:
        texts = [_text(each, known) for each in call.args[:2]]
        is_latency = isinstance(call.func, ast.Name) and call.func.id == "_latency"
        if is_latency and texts[0] is not None:
            texts[0] = f"kubeproxy_{texts[0]}"
        if len(texts) < 2 or texts[0] is None or texts[1] is None or not _NAME.fullmatch(texts[0]):
            return None
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        labels = keywords.get("labels") or keywords.get("labelnames")
        if labels is None and len(call.args) > 2:
            labels = call.args[2]
        names = _texts(labels, known) if labels is not None else ()
        if is_latency:
            names = ("ip_family",)
        return Family(self._part, _exposed(texts[0], kind), kind, names, texts[1])

    def _listed(self, node: ast.Tuple) -> Iterator[Family]:
        """Counters that a collector has as a table: (what, name, help)."""
        texts = [each.value if isinstance(each, ast.Constant) else None for each in node.elts]
        match texts:
            case [_, str(name), str(text)] if _NAME.fullmatch(name):
                yield Family(self._part, _exposed(name, "counter"), "counter", (), text)


def _exposed(name: str, kind: str) -> str:
    return f"{name.removesuffix('_total')}_total" if kind == "counter" else name


def _assigned(scope: ast.AST) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in ast.walk(scope):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name):
                found[target.id] = node.value
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts, strict=False)
                found |= {name.id: value for name, value in pairs if isinstance(name, ast.Name)}
    return found


def _text(node: ast.expr, known: dict[str, ast.expr]) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if name in known:
            return _text(known[name], {key: value for key, value in known.items() if key != name})
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            texts = _text(left, known), _text(right, known)
            return None if texts[0] is None or texts[1] is None else texts[0] + texts[1]
    return None


def _texts(node: ast.expr, known: dict[str, ast.expr]) -> tuple[str, ...]:
    match node:
        case ast.Name(id=name) if name in known:
            return _texts(known[name], {key: value for key, value in known.items() if key != name})
        case ast.Tuple(elts=items) | ast.List(elts=items):
            found: list[str] = []
            for item in items:
                if isinstance(item, ast.Starred):
                    found += _texts(item.value, known)
                elif (text := _text(item, known)) is not None:
                    found.append(text)
            return tuple(found)
        case ast.Call(
            func=ast.Name(id="tuple"), args=[ast.Call(func=ast.Attribute(value=ast.Name(id=name)))]
        ):
            values = known.get(name)
            if isinstance(values, ast.Dict):
                return tuple(text for each in values.values if (text := _text(each, known)))
    return ()


def table() -> str:
    """The table in Markdown."""
    lines = ["| metric | type | labels | what |", "|---|---|---|---|"]
    part = ""
    for family in families():
        if family.part != part:
            part = family.part
            lines.append(f"| **{PARTS[part]}** | | | |")
        labels = ", ".join(f"`{label}`" for label in family.labels)
        text = family.text.replace("|", "\\|").rstrip(".")
        lines.append(f"| `{family.name}` | {family.kind} | {labels} | {text} |")
    return "\n".join(lines) + "\n"


def document() -> str:
    """docs/metrics.md as it should be: what is written by hand, and the table."""
    return DOCUMENT.read_text().partition(BEGIN)[0] + BEGIN + "\n" + table()


if __name__ == "__main__":
    DOCUMENT.write_text(document())
