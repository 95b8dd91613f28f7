"""Reads the text of a transformation back: the safe inverse of `repr`."""

import ast
import math
from collections.abc import Callable
from typing import Any

from ..core import GradientTransformation, GradientTransformationExtraArgs
from .makers import maker

LONGEST = 10_000
"""Characters read at most: no sensible chain is longer."""


class ParseError(ValueError):
    """A text that is not a transformation: its message says where and why."""


def parse(text: str) -> GradientTransformationExtraArgs:
    """Makes a transformation from its text, without ever evaluating code.

    Understood are calls of public names that make transformations or schedules, with literals as
    arguments: numbers (also `inf` and `nan`), strings, True, False, None, tuples, lists, dicts.

        parse("chain(clip_by_global_norm(1.0), adam(1e-3))")

    Args:
      text: what `repr` of a transformation shows, or what you would type to make one.

    Returns:
      The transformation; `parse(repr(tx)) == tx` where every argument is a literal or such a call.

    Raises:
      ParseError: where and why the text is not a transformation.
    """
    return _Reader(text).transformation()


class _Reader:
    """One text being read."""

    def __init__(self, text: str):
        self.text = text.strip()

    def transformation(self) -> GradientTransformationExtraArgs:
        if not self.text:
            raise ParseError("parse: the text is empty; write a call such as adam(0.001).")
        if len(self.text) > LONGEST:
            raise ParseError(
                f"parse: the text has {len(self.text)} characters; at most {LONGEST} are read."
            )
        try:
            root = ast.parse(self.text, mode="eval").body
            made = self.read(root)
        except SyntaxError as error:
            at = (error.lineno or 1, (error.offset or 1) - 1)
            raise self.error(at, None, f"{_plainly(error)}.") from None
        except (RecursionError, MemoryError):
            raise ParseError("parse: the text is nested too deeply to be read.") from None
        except ValueError as error:
            if isinstance(error, ParseError):
                raise
            raise ParseError(f"parse: the text cannot be read: {error}.") from None
        if not isinstance(made, GradientTransformation):
            what = "a schedule" if callable(made) else f"the value {made!r}"
            raise self.at(root, f"expected a transformation such as adam(0.001), found {what}.")
        return made  # type: ignore[return-value]  # what the public factories make has extra args

    def read(self, node: ast.expr) -> Any:
        """The value of an expression made of literals and calls."""
        match node:
            case ast.Constant(value=bool() | int() | float() | complex() | str() | None):
                return node.value
            case ast.UnaryOp(op=ast.USub(), operand=operand) if _is_number(operand):
                return -self.read(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand) if _is_number(operand):
                return self.read(operand)
            case ast.Tuple(elts=items):
                return tuple(map(self.read, items))
            case ast.List(elts=items):
                return list(map(self.read, items))
            case ast.Dict(keys=keys, values=values):
                return {self.key(k, node): self.read(v) for k, v in zip(keys, values, strict=True)}
            case ast.Call(func=ast.Name(id=name) as func):
                return self.call(node, self.factory(name, func))
            case ast.Name(id="inf" | "nan" as name):
                return math.inf if name == "inf" else math.nan
            case ast.Name(id=name):
                self.factory(name, node)  # an unknown name is the better complaint
                raise self.at(node, f"{name!r} is not called: write {name}(...).")
        raise self.at(
            node,
            f"{_WORDS.get(type(node), 'this expression')} cannot be used here; "
            "write calls of transformations and schedules, with literals as arguments.",
        )

    def key(self, node: ast.expr | None, owner: ast.expr) -> Any:
        """A dictionary's key, which must be one that a dictionary takes."""
        if node is None:
            raise self.at(owner, "'**' cannot be used here; write the keys out.")
        value = self.read(node)
        try:
            hash(value)
        except TypeError:
            raise self.at(node, "a dictionary's key must be a number or a string.") from None
        return value

    def factory(self, name: str, node: ast.expr) -> Callable[..., Any]:
        """The public function of this name, if it makes transformations or schedules."""
        try:
            return maker(name)
        except LookupError as error:
            raise self.at(node, str(error.args[0])) from None

    def call(self, node: ast.Call, factory: Callable[..., Any]) -> Any:
        """Calls a factory with the arguments read, and passes on its own complaint."""
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                raise self.at(argument, "'*' cannot be used here; write the arguments out.")
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self.at(keyword.value, "'**' cannot be used here; write the arguments out.")
        for i, keyword in enumerate(node.keywords):
            if keyword.arg in {earlier.arg for earlier in node.keywords[:i]}:
                raise self.at(keyword, f"the argument {keyword.arg} is repeated.")
        args = [self.read(argument) for argument in node.args]
        kwargs = {str(keyword.arg): self.read(keyword.value) for keyword in node.keywords}
        try:
            return factory(*args, **kwargs)
        except Exception as error:  # a factory may refuse its arguments with any class of error
            raise self.at(node, str(error) or repr(error)) from error

    def at(self, node: ast.expr | ast.keyword, why: str) -> ParseError:
        """The error for a node: its place as characters, where `ast` counts bytes."""
        line = self.text.splitlines()[node.lineno - 1].encode()
        start = len(line[: node.col_offset].decode())
        same_line = node.end_lineno == node.lineno and node.end_col_offset is not None
        end = len(line[: node.end_col_offset].decode()) if same_line else None
        return self.error((node.lineno, start), end, why)

    def error(self, at: tuple[int, int], end: int | None, why: str) -> ParseError:
        """The error for a place: the words, the line, and carets under the place."""
        lines = self.text.splitlines() or [""]
        number, start = min(max(at[0], 1), len(lines)), max(at[1], 0)
        where = f"column {start + 1}" if len(lines) == 1 else f"line {number}, column {start + 1}"
        carets = " " * start + "^" * max(1, (end or start + 1) - start)
        return ParseError(f"parse: {where}: {why}\n  {lines[number - 1]}\n  {carets}")


_WORDS: dict[type[ast.expr], str] = {
    ast.Attribute: "an attribute ('.')",
    ast.BinOp: "an operator",
    ast.BoolOp: "an operator",
    ast.Call: "a call of anything but a name",
    ast.Compare: "a comparison",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.IfExp: "a condition",
    ast.JoinedStr: "an f-string",
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.NamedExpr: "an assignment",
    ast.Set: "a set",
    ast.SetComp: "a comprehension",
    ast.Starred: "'*'",
    ast.Subscript: "an index ('[...]')",
    ast.UnaryOp: "an operator",
}


def _is_number(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float() | complex()):
            return True
        case ast.Name(id="inf" | "nan"):
            return True
    return False


def _plainly(error: SyntaxError) -> str:
    """Python's own words for a syntax error, in the form of a clause."""
    words = (error.msg or "invalid syntax").rstrip(".")
    words = words.removesuffix(" Perhaps you forgot a comma?").removeprefix("invalid syntax. ")
    return words[:1].lower() + words[1:] if words[:2] != "'('" else words
