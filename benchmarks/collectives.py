"""What the devices of a compiled program send, read from its text."""

import math
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

BITS = re.compile(r"[a-z]+?(\d+)")
SHAPE = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\]")
KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
CALL = re.compile(rf"= (\(.*?\)|\S+) ({'|'.join(KINDS)})(-start)?\(")
HEAD = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*\{$")
CALLEES = re.compile(r"(?:calls|to_apply|body|condition|\w+_computations?)=\{?((?:%?[\w.\-]+(?:, )?)+)\}?")


class Collective(NamedTuple):
    """An exchange between the devices of a group."""

    op: str  # one of KINDS
    shapes: tuple[str, ...]  # of the result, such as "f32[8,4]"
    group: int  # how many devices
    conditional: bool  # whether it is in a branch, which not every step takes

    @property
    def size(self) -> int:
        """Bytes of the result on one device."""
        return sum(map(_bytes, self.shapes))

    @property
    def sent(self) -> float:
        """Bytes that each device sends, if the devices form a ring."""
        others = (self.group - 1) / self.group
        if self.op == "collective-permute":
            return self.size
        times = {"all-reduce": 2 * others, "reduce-scatter": self.group * others}
        return times.get(self.op, others) * self.size


def _bytes(shape: str) -> int:
    dtype, _, dims = shape.rstrip("]").partition("[")
    found = BITS.match(dtype)
    bits = int(found[1]) if found else 8  # pred
    return math.prod(int(d) for d in dims.split(",") if d) * bits // 8


def _group(line: str, devices: int) -> int:
    """How many devices exchange: replica_groups={{0,1},{2,3}} or [2,2]<=[4], or all."""
    listed = re.search(r"replica_groups=\{\{([\d,]*)\}", line)
    if listed:
        return len(listed[1].split(","))
    counted = re.search(r"replica_groups=\[(?:\d+,)*(\d+)\]<=", line)
    return int(counted[1]) if counted else devices


def _result(shape: str, op: str, started: bool) -> tuple[str, ...]:
    """The shapes of a result. What is started gives its operands first, where they are of another shape."""
    shapes = tuple(f"{dtype}[{dims}]" for dtype, dims in SHAPE.findall(shape))
    if started and op == "all-gather":
        return shapes[len(shapes) // 2 :]
    return shapes[1:2] if started and op == "collective-permute" else shapes


def collectives(compiled: Any, devices: int = 0) -> list[Collective]:
    """The exchanges of a compiled program, or of its text; in a loop each counts once.

    Args: devices, how many there are, where a group is all of them.
    """
    text = compiled if isinstance(compiled, str) else compiled.as_text()
    found: list[tuple[str, str, str, bool, int]] = []
    calls: dict[str, set[str]] = {}
    branches: set[str] = set()
    at = ""
    for line in text.splitlines():
        head = HEAD.match(line)
        if head:
            at = head[1]
            continue
        for group in CALLEES.findall(line):
            names = {name.strip().lstrip("%") for name in group.split(",")}
            calls.setdefault(at, set()).update(names)
            if " conditional(" in line:
                branches |= names
        call = CALL.search(line)
        if call:
            found.append((at, call[1], call[2], bool(call[3]), _group(line, devices)))
    inside = _reached(branches, calls)
    return [Collective(op, _result(s, op, started), n, at in inside) for at, s, op, started, n in found]


def _reached(names: Iterable[str], calls: dict[str, set[str]]) -> set[str]:
    """The computations that these call, and these."""
    reached, left = set(), list(names)
    while left:
        name = left.pop()
        if name not in reached:
            reached.add(name)
            left += calls.get(name, ())
    return reached


def sent(found: Iterable[Collective], every: int = 1) -> float:
    """Bytes that each device sends at a step, if branches are taken at each `every`-th one."""
    return sum(c.sent / (every if c.conditional else 1) for c in found)
