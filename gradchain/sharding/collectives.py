"""What the devices of a compiled program send to each other, read from its text."""

import math
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_CALL = re.compile(rf"= (\(.*?\)|\S+) ({'|'.join(KINDS)})(-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\]")
_BITS = re.compile(r"[a-z]+?(\d+)")
_HEAD = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*\{$")
_CALLEES = re.compile(r"(?:calls|to_apply|body|condition|\w+_computations?)=\{?((?:%?[\w.\-]+(?:, )?)+)\}?")
_ALL = re.compile(r"\bnum_partitions=(\d+)")


class Collective(NamedTuple):
    """An exchange between the devices of a group."""

    kind: str  # one of KINDS
    arrays: tuple[tuple[str, tuple[int, ...]], ...]  # of its result on one device, such as ("f32", (8, 4))
    group: int  # how many devices exchange
    conditional: bool  # whether it is in a branch, which not every step takes

    @property
    def size(self) -> int:
        """The bytes of its result on one device."""
        return sum(math.prod(shape) * _bits(dtype) // 8 for dtype, shape in self.arrays)

    @property
    def sent(self) -> float:
        """The bytes that each device sends, if the devices form a ring."""
        others = (self.group - 1) / self.group
        if self.kind == "collective-permute":
            return self.size
        times = {"all-reduce": 2 * others, "reduce-scatter": self.group * others}
        return times.get(self.kind, others) * self.size


def collectives(compiled: Any) -> list[Collective]:
    """The exchanges between devices in a compiled program, in the order of its text.

    One in a loop stands once.

        compiled = jax.jit(train_step).lower(params, state, batch).compile()
        for c in collectives(compiled):
            print(c.kind, c.arrays, c.sent)

    Args: compiled, what `jax.jit(f).lower(...).compile()` gives, or its text.
    Returns: a list of `Collective(kind, arrays, group, conditional)`, whose `size` and `sent` are bytes;
        `bytes_sent` gives their sum.
    """
    text = compiled if isinstance(compiled, str) else compiled.as_text()
    everyone = _ALL.search(text)
    devices = int(everyone[1]) if everyone else 1
    found: list[tuple[str, str, str, bool, int]] = []
    calls: dict[str, set[str]] = {}
    branches: set[str] = set()
    at = ""
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            at = head[1]
            continue
        for group in _CALLEES.findall(line):
            names = {name.strip().lstrip("%") for name in group.split(",")}
            calls.setdefault(at, set()).update(names)
            if " conditional(" in line:
                branches |= names
        call = _CALL.search(line)
        if call:
            found.append((at, call[1], call[2], bool(call[3]), _group(line, devices)))
    inside = _reached(branches, calls)
    return [Collective(kind, _result(s, kind, began), n, at in inside) for at, s, kind, began, n in found]


def bytes_sent(compiled: Any, every: int = 1) -> float:
    """The bytes that each device sends in a run of a compiled program, if the devices form a ring.

    An all-reduce of S bytes over n devices sends 2 S (n - 1) / n, an all-gather or a reduce-scatter of a
    whole of S bytes half of it, an all-to-all S (n - 1) / n.

    Args: compiled, see `collectives`, or a list that it gave; every, as many runs take a branch once.
    """
    found: Iterable[Collective] = compiled if isinstance(compiled, list) else collectives(compiled)
    return sum(c.sent / (every if c.conditional else 1) for c in found)


def _bits(dtype: str) -> int:
    found = _BITS.match(dtype)
    return int(found[1]) if found else 8  # pred


def _group(line: str, devices: int) -> int:
    """How many devices exchange: {{0,1},{2,3}}, [2,2]<=[4], mesh['a'=4,'b'=2] {'a'}, or all."""
    listed = re.search(r"replica_groups=\{\{([\d,]*)\}", line)
    if listed:
        return len(listed[1].split(","))
    counted = re.search(r"replica_groups=\[(?:\d+,)*(\d+)\]<=", line)
    if counted:
        return int(counted[1])
    named = re.search(r"replica_groups=mesh\[(.*?)\][^{]*\{(.*?)\}", line)
    if named:
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", named[1]))
        return math.prod(int(sizes[name]) for name in re.findall(r"'(\w+)'", named[2]))
    return devices


def _result(text: str, kind: str, began: bool) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The arrays of a result. What is only begun gives operands of another shape before them."""
    arrays = tuple((d, tuple(int(n) for n in dims.split(",") if n)) for d, dims in _ARRAY.findall(text))
    if began and kind == "all-gather":
        return arrays[len(arrays) // 2 :]
    return arrays[1:2] if began and kind == "collective-permute" else arrays


def _reached(names: Iterable[str], calls: dict[str, set[str]]) -> set[str]:
    """The computations that these call, and these."""
    reached, left = set(), list(names)
    while left:
        name = left.pop()
        if name not in reached:
            reached.add(name)
            left += calls.get(name, ())
    return reached
