"""From the words of a template's actions to its tree."""

from __future__ import annotations

import ast
import re

from clusterip.dns.gotemplate.errors import BadTemplate
from clusterip.dns.gotemplate.lex import Piece, Word, pieces
from clusterip.dns.gotemplate.tree import (
    Branch,
    Call,
    Chain,
    Dot,
    Function,
    Leave,
    Literal,
    Node,
    Operand,
    Pipeline,
    Show,
    Text,
    Variable,
)

_CONSTANTS = {"true": True, "false": False, "nil": None}


def parse(template: str) -> dict[str, list[Node]]:
    """The bodies of a template by name; its own has the name "". Raises BadTemplate."""
    parser = _Parser(list(pieces(template)))
    body, end = parser.body()
    if end is not None:
        raise BadTemplate(f'"{end[0].text}" without a beginning')
    parser.defined[""] = body
    return parser.defined


class _Parser:
    def __init__(self, found: list[Piece]) -> None:
        self.defined: dict[str, list[Node]] = {}
        self._pieces = found
        self._at = 0
        self._ranges = 0

    def body(self) -> tuple[list[Node], list[Word] | None]:
        """Nodes up to ``end`` or ``else``, and the words of that; None at the end of the text."""
        nodes: list[Node] = []
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            self._at += 1
            if piece.words is None:
                nodes.append(Text(piece.text))
                continue
            if not piece.words:
                raise BadTemplate("an empty action")
            first, rest = piece.words[0], piece.words[1:]
            match first.text if first.kind == "word" else "":
                case "if" | "with" | "range":
                    nodes.append(self._branch(first.text, rest))
                case "end" | "else":
                    return nodes, piece.words
                case "break" | "continue":
                    if rest or not self._ranges:
                        raise BadTemplate(f'"{piece.text}" outside of a range')
                    nodes.append(Leave(first.text))
                case "template":
                    nodes.append(self._call(rest))
                case "define":
                    self._define(rest)
                case "block":
                    nodes.append(self._call(rest))
                    self._define(rest[:1])
                case _:
                    nodes.append(Show(pipeline(piece.words)))
        return nodes, None

    def _branch(self, kind: str, words: list[Word]) -> Branch:
        self._ranges += kind == "range"
        branch = Branch(kind, pipeline(words))
        branch.body, end = self.body()
        self._ranges -= kind == "range"
        if end is not None and end[0].text == "else":
            if len(end) == 1:
                branch.otherwise, end = self.body()
            elif end[1].text in ("if", "with") and kind != "range":
                branch.otherwise = [self._branch(end[1].text, end[2:])]
                return branch
            else:
                raise BadTemplate(f'"{end[1].text}" after else')
        if end is None or [word.text for word in end] != ["end"]:
            raise BadTemplate(f"{kind} without an end")
        return branch

    def _define(self, words: list[Word]) -> None:
        if len(words) != 1 or words[0].kind not in ("string", "raw"):
            raise BadTemplate("define needs a name in quotes")
        body, end = self.body()
        if end is None or end[0].text != "end":
            raise BadTemplate("define without an end")
        self.defined[str(_literal(words[0]))] = body

    @staticmethod
    def _call(words: list[Word]) -> Call:
        if not words or words[0].kind not in ("string", "raw"):
            raise BadTemplate("template needs a name in quotes")
        return Call(str(_literal(words[0])), pipeline(words[1:]) if words[1:] else None)


def pipeline(words: list[Word]) -> Pipeline:
    """``[$a[, $b] :=|=] COMMAND [| COMMAND ...]``. Raises BadTemplate."""
    names: list[str] = []
    declares = True
    sign = next((i for i, word in enumerate(words) if word.kind in ("declare", "assign")), None)
    if sign is not None:
        names = [word.text for word in words[:sign] if word.text != ","]
        if not all(name.startswith("$") for name in names) or len(names) not in (1, 2):
            raise BadTemplate("only variables can be given a value")
        declares = words[sign].kind == "declare"
        words = words[sign + 1 :]
    reader = _Commands(words)
    commands = reader.commands()
    if reader.left:
        raise BadTemplate('")" that closes nothing')
    return Pipeline(commands, tuple(names), declares)


class _Commands:
    def __init__(self, words: list[Word]) -> None:
        self._words = words
        self._at = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._words)

    def commands(self) -> tuple[tuple[Operand, ...], ...]:
        """Up to the end or the ``)`` that closes them."""
        found: list[tuple[Operand, ...]] = []
        current: list[Operand] = []
        while self.left and self._words[self._at].text != ")":
            if self._words[self._at].text == "|":
                self._at += 1
                found.append(tuple(current))
                current = []
                continue
            current.append(self._operand())
        found.append(tuple(current))
        if not all(found):
            raise BadTemplate("a command is missing")
        return tuple(found)

    def _operand(self) -> Operand:
        word = self._words[self._at]
        self._at += 1
        base: Operand
        match word.kind:
            case "variable":
                base = Variable(word.text)
            case "dot":
                base = Dot()
            case "field":
                self._at -= 1
                base = Dot()
            case "word" if word.text in _CONSTANTS:
                base = Literal(_CONSTANTS[word.text])
            case "word":
                base = Function(word.text)
            case "mark" if word.text == "(":
                base = Pipeline(self.commands())
                if not self.left:
                    raise BadTemplate('"(" is never closed')
                self._at += 1
            case "string" | "raw" | "char" | "number":
                base = Literal(_literal(word))
            case _:
                raise BadTemplate(f'"{word.text}" where a value is expected')
        fields: list[str] = []
        while self.left and self._words[self._at].kind == "field":
            following = self._words[self._at]
            first = not fields and isinstance(base, Dot) and word.kind == "field"
            if not following.joined and not first:
                break
            fields.append(following.text[1:])
            self._at += 1
        return Chain(base, tuple(fields)) if fields else base


def _literal(word: Word) -> str | int | float:
    text = word.text
    if word.kind == "raw":
        return text[1:-1]
    try:
        if word.kind == "number":
            plain = text.replace("_", "")
            return (
                float(plain)
                if re.fullmatch(r"[+-]?\d*\.?\d*(?:[eE].*)?", plain)
                and ("." in plain or "e" in plain.lower())
                else int(plain, 0 if not re.fullmatch(r"[+-]?0\d+", plain) else 8)
            )
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise BadTemplate(f"{text} is no value") from None
    if word.kind == "char" and len(value) != 1:
        raise BadTemplate(f"{text} is more than one character")
    return ord(value) if word.kind == "char" else str(value)
