"""Label selectors: which labels a Service, a workload or a query picks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clusterip.objects import names
from clusterip.objects.errors import FieldError, Path, invalid, not_supported
from clusterip.objects.meta import LabelSelector

_OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt", "exists", "!")
_FROM_EXPRESSION = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


class SelectorError(ValueError):
    """A selector that cannot be understood, in upstream's words."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. ``operator`` is ``=``, ``==``, ``!=``, ``in``, ``notin``, ``exists``,
    ``!`` (does not exist), ``gt`` or ``lt``. Make one with ``requirement``, which checks it.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "=" | "==" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        number = None if value is None else _integer(value)
        limit = _integer(self.values[0])
        if number is None or limit is None:
            return False
        return number > limit if self.operator == "gt" else number < limit

    def __str__(self) -> str:
        values = ",".join(sorted(self.values))
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({values})"
            case "gt":
                return f"{self.key}>{values}"
            case "lt":
                return f"{self.key}<{values}"
        return f"{self.key}{self.operator}{values}"


class Selector:
    """All requirements together. Without any it matches everything; ``NOTHING`` matches nothing."""

    __slots__ = ("_equal", "_rest", "requirements")

    def __init__(self, requirements: tuple[Requirement, ...] = ()) -> None:
        self.requirements = tuple(sorted(requirements, key=lambda requirement: requirement.key))
        # Nearly all selectors only compare values, and matching is a hot path in controllers.
        equal = [r for r in self.requirements if r.operator in ("=", "==")]
        self._equal = tuple((r.key, r.values[0]) for r in equal)
        self._rest = tuple(r for r in self.requirements if r.operator not in ("=", "=="))

    def matches(self, labels: Mapping[str, str]) -> bool:
        for key, value in self._equal:
            if labels.get(key) != value:
                return False
        return all(requirement.matches(labels) for requirement in self._rest)

    @property
    def empty(self) -> bool:
        """Whether the selector restricts nothing."""
        return not self.requirements

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def __repr__(self) -> str:
        return f"Selector({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Selector)
            and type(self) is type(other)
            and self.requirements == other.requirements
        )

    def __hash__(self) -> int:
        return hash(self.requirements)


class _Nothing(Selector):
    __slots__ = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return False

    @property
    def empty(self) -> bool:
        return False


EVERYTHING = Selector()
NOTHING: Selector = _Nothing()


def requirement(key: str, operator: str, values: tuple[str, ...] = ()) -> Requirement:
    """A checked requirement.

    Raises:
        SelectorError: the key, a value, the operator or their number is wrong.
    """
    path = Path("")
    errors: list[FieldError] = []
    if problems := names.label_key(key):
        errors.append(invalid("key", key, "; ".join(problems)))
    if operator in ("in", "notin"):
        if not values:
            errors.append(invalid("values", [], "for 'in', 'notin' operators, values set can't be empty"))
    elif operator in ("=", "==", "!="):
        if len(values) != 1:
            errors.append(invalid("values", values, "exact-match compatibility requires one single value"))
    elif operator in ("exists", "!"):
        if values:
            errors.append(invalid("values", values, "values set must be empty for exists and does not exist"))
    elif operator in ("gt", "lt"):
        if len(values) != 1:
            errors.append(
                invalid("values", values, "for 'Gt', 'Lt' operators, exactly one value is required")
            )
        for i, value in enumerate(values):
            if _integer(value) is None:
                where = path.child("values").item(i)
                errors.append(invalid(where, value, "for 'Gt', 'Lt' operators, the value must be an integer"))
    else:
        errors.append(not_supported("operator", operator, _OPERATORS))
    for i, value in enumerate(values):
        if problems := names.label_value(value):
            errors.append(invalid(path.child("values").item(i).key(key), value, "; ".join(problems)))
    if errors:
        raise SelectorError(_aggregate(errors))
    return Requirement(key, operator, values)


def from_map(labels: Mapping[str, str] | None) -> Selector:
    """The selector of labels that must all be there, as in a Service's ``spec.selector``.

    Empty means everything, as upstream's ``SelectorFromSet``; a Service without selector is its
    caller's business.
    """
    if not labels:
        return EVERYTHING
    return Selector(tuple(Requirement(key, "=", (value,)) for key, value in labels.items()))


def from_label_selector(selector: LabelSelector | None) -> Selector:
    """A workload's ``spec.selector``; ``None`` selects nothing, an empty one everything.

    Raises:
        SelectorError: an expression is invalid.
    """
    if selector is None:
        return NOTHING
    found = [requirement(key, "=", (value,)) for key, value in selector.matchLabels.items()]
    for expression in selector.matchExpressions:
        operator = _FROM_EXPRESSION.get(expression.operator)
        if operator is None:
            raise SelectorError(f'"{expression.operator}" is not a valid label selector operator')
        found.append(requirement(expression.key, operator, tuple(expression.values)))
    return Selector(tuple(found))


def _integer(text: str) -> int | None:
    try:
        return int(text) if text.lstrip("+-").isdecimal() else None
    except ValueError:  # such as "+-1"
        return None


def _aggregate(errors: list[FieldError]) -> str:
    texts = list(dict.fromkeys(map(str, errors)))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
