"""The Corefile: server blocks of directives, snippets and imports."""

from __future__ import annotations

import glob
from pathlib import Path

from clusterip.dns.config.lexer import Token, tokenize
from clusterip.dns.config.source import BadConfig, Block, Directive, Where

_MAX_IMPORTS = 100


def parse_corefile(text: str, file: str) -> tuple[list[Block], list[str]]:
    """The server blocks of a Corefile, and the files that it imports.

    Raises:
        BadConfig: it cannot be read, or an import cannot be found.
    """
    return _Parser(file).parse(text)


def _read(file: str, where: Where | None) -> str:
    try:
        return Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise BadConfig(where, f"cannot read {file}: {why}") from None


class _Parser:
    def __init__(self, file: str) -> None:
        self._file = file
        self._snippets: dict[str, list[Token]] = {}
        self._imported: list[str] = []
        self._imports = 0
        self._tokens: list[Token] = []
        self._at = 0

    def parse(self, text: str) -> tuple[list[Block], list[str]]:
        self._tokens = tokenize(text, self._file)
        blocks: list[Block] = []
        while self._at < len(self._tokens):
            first = self._tokens[self._at]
            if first.text == "import" and not first.quoted:
                self._import()
            elif first.text.startswith("(") and first.text.endswith(")"):
                self._snippet(first)
            else:
                blocks.append(self._block())
        return blocks, self._imported

    def _same_line(self) -> bool:
        """Whether the next word continues the line of the last."""
        return self._at < len(self._tokens) and not self._tokens[self._at].first

    def _next_is(self, text: str) -> bool:
        if self._at >= len(self._tokens):
            return False
        token = self._tokens[self._at]
        return token.text == text and not token.quoted

    def _take(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _block(self) -> Block:
        first = self._tokens[self._at]
        keys: list[str] = []
        more = True
        while not self._next_is("{") and self._at < len(self._tokens) and (more or self._same_line()):
            token = self._take()
            if token.text in ("{", "}"):
                raise BadConfig(token.where, f'"{token.text}" where a server block should begin')
            keys += [key for key in token.text.split(",") if key]
            more = token.text.endswith(",")
        if not keys:
            raise BadConfig(first.where, 'a server block needs a zone before "{", such as "."')
        if not self._next_is("{"):
            # Without braces all of the file is one block.
            return Block(keys, self._directives(first, braced=False), first.where)
        opening = self._take()
        if self._same_line():
            raise BadConfig(opening.where, 'what follows "{" belongs on a line of its own')
        return Block(keys, self._directives(opening, braced=True), first.where)

    def _directives(self, opening: Token, *, braced: bool) -> list[Directive]:
        found: list[Directive] = []
        while self._at < len(self._tokens):
            if self._next_is("}"):
                closing = self._take()
                if not braced:
                    raise BadConfig(closing.where, '"}" that closes nothing')
                return found
            if self._next_is("import"):
                self._import()
                continue
            found.append(self._directive())
        if braced:
            raise BadConfig(opening.where, '"{" is never closed')
        return found

    def _directive(self) -> Directive:
        name = self._take()
        if name.text == "{" and not name.quoted:
            raise BadConfig(name.where, '"{" without a directive before it')
        directive = Directive(name.text, [], name.where)
        while self._same_line() and not self._next_is("}"):
            if self._next_is("{"):
                opening = self._take()
                if self._next_is("}") and self._same_line():
                    self._take()
                    return directive
                if self._same_line():
                    raise BadConfig(opening.where, 'what follows "{" belongs on a line of its own')
                directive.block = self._directives(opening, braced=True)
                return directive
            directive.args.append(self._take().text)
        return directive

    def _snippet(self, name: Token) -> None:
        self._at += 1
        if not self._next_is("{"):
            raise BadConfig(name.where, f'snippet {name.text} needs a block in "{{" and "}}"')
        opening = self._take()
        start, depth = self._at, 1
        while depth:
            if self._at >= len(self._tokens):
                raise BadConfig(opening.where, '"{" is never closed')
            depth += int(self._next_is("{")) - int(self._next_is("}"))
            self._at += 1
        self._snippets[name.text[1:-1]] = self._tokens[start : self._at - 1]

    def _import(self) -> None:
        """Put what is imported in the place of the import."""
        start = self._at
        where = self._take().where
        if not self._same_line():
            raise BadConfig(where, "import: the name of a snippet or file is missing")
        name = self._take().text
        if self._same_line():
            raise BadConfig(where, "import takes one argument")
        self._imports += 1
        if self._imports > _MAX_IMPORTS:
            raise BadConfig(where, f"more than {_MAX_IMPORTS} imports: do they import each other?")
        tokens = self._snippets.get(name)
        if tokens is None:
            tokens = self._imported_files(name, where)
        self._tokens[start : self._at] = tokens
        self._at = start

    def _imported_files(self, name: str, where: Where) -> list[Token]:
        pattern = str(Path(where.file).parent / name)
        files = sorted(glob.glob(pattern))
        if not files and not glob.has_magic(pattern):
            raise BadConfig(where, f"import: there is neither a snippet ({name}) nor a file {pattern}")
        tokens: list[Token] = []
        for file in files:
            self._imported.append(file)
            tokens += tokenize(_read(file, where), file)
        return tokens
