"""Which collectives are in a compiled program, read from its text."""

import math
import re
from typing import Any, NamedTuple

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
_LINE = re.compile(rf"= (.*?) ({'|'.join(KINDS)})(?:-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+\d+(?:e\d+m\d+\w*)?|pred)\[([\d,]*)\]")
BYTES = {"pred": 1}


class Collective(NamedTuple):
    """One array that a collective gives; XLA may join several in one operation."""

    kind: str  # "all-gather"
    dtype: str  # "f32"
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Of the result, on one device."""
        bits = re.search(r"\d+", self.dtype)
        return math.prod(self.shape) * (BYTES.get(self.dtype) or int(bits.group() if bits else 8) // 8)


def collectives(program: Any, kind: str | None = None) -> list[Collective]:
    """The arrays that collectives of a compiled program give, of one kind or of all."""
    found = []
    for arrays, which in _LINE.findall(program if isinstance(program, str) else program.as_text()):
        for dtype, shape in _ARRAY.findall(arrays):
            if kind is None or kind == which:
                found.append(Collective(which, dtype, tuple(int(n) for n in shape.split(",") if n)))
    return found
