"""What a row of THE TABLE is: a factory, its arguments, and what it cannot do."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import arguments
import jax
import optax
from arguments import matrices_only
from trees import compiled, gradients

import gradchain as gc


def find(module: Any, name: str) -> Any:
    """A factory by name, of the contrib module if it is there."""
    return getattr(module.contrib if hasattr(module.contrib, name) else module, name)


HALF = {"float16": 2e-3, "bfloat16": 1.6e-2}
"""Relative tolerances of half precision."""

NAMES = set(dir(optax)) | set(dir(optax.contrib))
OPTAX = vars(arguments) | vars(optax) | vars(optax.contrib)


def within(value: Any) -> Iterator[Any]:
    """A value of an argument and the values in it: those of a dict, a tuple, a transformation's call."""
    yield value
    if hasattr(value, "factory"):
        value = value.arguments
    if isinstance(value, (dict, tuple, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from within(part)


def of_optax(value: Any) -> Any:
    """The same value, with Optax's transformations in place of ours."""
    if hasattr(value, "factory"):
        return eval(repr(value), OPTAX)
    if isinstance(value, dict):
        return {k: of_optax(v) for k, v in value.items()}
    return type(value)(map(of_optax, value)) if type(value) in (tuple, list) else value


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A row."""

    name: str
    call: dict[str, Any]  # arguments by name
    optimizer: bool = False  # goes downhill by itself
    extra: Callable[[Any, int], dict[str, Any]] | None = None  # extra arguments of `update`
    twin: bool = True  # equals the factory of this name in Optax, if Optax has these arguments
    paper: Callable[..., Any] | None = None  # its algorithm, of references/papers*.py
    at: dict[str, Any] = dataclasses.field(default_factory=dict)  # arguments that the paper's needs
    start: dict[str, Any] = dataclasses.field(default_factory=dict)  # for first steps that float16 resolves
    # What a row cannot do
    complex: bool = True  # takes complex parameters
    lands: bool = False  # updates of low-precision parameters are float32: exact differences of parameters
    constant: bool = False  # its updates do not depend on the gradients
    absent: bool = True  # a missing leaf changes nothing for the others
    checks_leaves: bool = True  # complains of gradients unlike the parameters
    keeps_sharding: bool = True
    hosted: bool = False  # its state waits in another memory, which shapes do not tell
    gathers: tuple[str, ...] = ()  # of CUT: where its step gathers more than the parameters, see ROWWISE
    squares: tuple[str, ...] = ("nu", "nu_max", "e_g", "sum_of_squares")  # second moments in its state
    kinks: tuple[str, ...] = ()  # numbers without a derivative there: two sides of a maximum are equal
    cancels: bool = False  # its step is a difference of numbers that large gradients make nearly equal
    # How exact it is: relative tolerances
    rtol: float = 1e-6  # float32 against Optax
    exact: float = 1e-12  # float64 against Optax
    half: float = 1.0  # float16 and bfloat16 against float32, in multiples of HALF
    long: float = 1.0  # 300 steps in float16 and bfloat16 against float64, in multiples of their limits
    whole: float = 0.0  # a step in float32 against update and apply_updates
    injects: float | None = 0.0  # injected hyperparameters against plain ones; None: another count

    def __post_init__(self) -> None:
        """No tolerance is so wide that a flipped sign, or no step at all, would pass."""
        low = self.half * max(HALF.values()), self.long * 0.02
        assert max(self.rtol, self.exact, self.injects or 0, *low) <= 0.5

    def but(self, **columns: Any) -> "Case":
        """The row with some columns that are not as usual."""
        return dataclasses.replace(self, **columns)

    @functools.cached_property
    def started(self) -> "Case":
        """The row as the laws of precision see it."""
        return self.but(call=self.call | self.start) if self.start else self

    def per(self, paper: Callable[..., Any], **at: Any) -> "Case":
        """The row with its paper's algorithm, and the arguments that make it that of the paper."""
        return self.but(paper=paper, at=at)

    def make(self, module: Any = gc, **changes: Any) -> Any:
        """The transformation, from gradchain or from its twin."""
        call = self.call | changes
        if module is not gc:
            call = {k: of_optax(v) for k, v in call.items()}
        return find(module, self.name)(*call.pop("args", ()), **call)

    @functools.cached_property
    def step(self) -> Callable[..., Any]:
        """`update` as one program, which the laws share."""
        return compiled(self.make().update)

    @functools.cached_property
    def full_step(self) -> Callable[..., Any]:
        """The pair's `step` as one program, which the laws share."""
        return compiled(self.make().step)

    @functools.cached_property
    def optax_step(self) -> Callable[..., Any]:
        """The twin's `update` as one program: its conditionals would be compiled anew at each step."""
        return compiled(self.make(optax).update)

    def more(self, p: Any, step: int) -> dict[str, Any]:
        """The extra arguments of `update`."""
        return self.extra(p, step) if self.extra else {}

    def run(self, p: Any, steps: int, scale: float = 1.0) -> tuple[Any, Any, Any]:
        """The last updates, the state and the parameters after some steps, compiled."""
        state, updates = self.make().init(p), None
        for step in range(steps):
            updates, state = self.step(gradients(p, step, scale), state, p, **self.more(p, step))
            p = gc.apply_updates(p, updates)
        return updates, state, p

    @property
    def factory(self) -> Any:
        """gradchain's factory."""
        return find(gc, self.name)

    @property
    def id(self) -> str:
        """The row's name in pytest's output."""
        shown = ",".join(f"{k}={v}" for k, v in self.call.items())
        return re.sub(r"<function (\w+) at \w+>", r"\1", f"{self.name}({shown})")

    @functools.cached_property
    def has_twin(self) -> bool:
        """Whether Optax has the factory with these arguments, and means the same."""
        return (
            self.twin
            and self.name in NAMES
            and set(self.call) <= set(inspect.signature(find(optax, self.name)).parameters)
        )

    @functools.cached_property
    def parts(self) -> list[Any]:
        """Everything in the arguments."""
        return list(within(self.call))

    @property
    def wraps(self) -> bool:
        """Whether another transformation is in the arguments."""
        return any(hasattr(part, "factory") for part in self.parts)

    @property
    def by_value(self) -> bool:
        """repr is code: every function in the arguments is gradchain's, and there is no mesh."""
        return not self.meshed and all(
            getattr(gc, f.__name__, None) is f for f in self.parts if inspect.isfunction(f)
        )

    @property
    def meshed(self) -> bool:
        """Whether it has devices of its own: a mesh is in the arguments, which cannot be copied."""
        return any(isinstance(part, jax.sharding.Mesh) for part in self.parts)

    @property
    def any_tree(self) -> bool:
        """Whether it fits parameters of any structure: no mask is a tree, no pattern names a leaf."""
        return not any(isinstance(part, dict) and any("deep" in key for key in part) for part in self.parts)

    @property
    def random(self) -> bool:
        """Draws numbers, others in float64."""
        return not {"key", "seed"}.isdisjoint(self.call)

    @property
    def numbers(self) -> dict[str, float]:
        """The arguments that are numbers a trace may stand for, defaults included."""
        defaults = {k: p.default for k, p in inspect.signature(self.factory).parameters.items()}
        return {k: v for k, v in (defaults | self.call).items() if type(v) is float}


def row(name: str, /, *args: Any, **kwargs: Any) -> Case:
    """A row: a factory's name and its arguments."""
    return Case(name, dict(inspect.signature(find(gc, name)).bind(*args, **kwargs).arguments))


def opt(name: str, /, *args: Any, **kwargs: Any) -> Case:
    """A row for an optimizer."""
    return row(name, *args, **kwargs).but(optimizer=True)


def ids(cases: list[Case]) -> dict[str, Any]:
    """Arguments for pytest.mark.parametrize over rows."""
    return {"argvalues": cases, "ids": [case.id for case in cases]}


def in_dtypes(**rows: list[Case]) -> dict[str, Any]:
    """Arguments for pytest.mark.parametrize over rows and dtypes: for each dtype, its rows."""
    pairs = [(case, dtype) for dtype, cases in rows.items() for case in cases]
    names = [f"{dtype}-{case.id}" for case, dtype in pairs]
    return {"argnames": ("case", "dtype"), "argvalues": pairs, "ids": names}


LR = 0.05
SMALL = {"eps": 1e-3, "eps_root": 1e-4}
ADAM = {"b1": 0.8, "b2": 0.9, **SMALL}  # of optimizers, away from the defaults
RULE = {"b1": 0.8, "b2": 0.95, **SMALL}  # of rules
TINY_ADAM = {"b1": 0.8, "b2": 0.9, "eps": 1e-3}
TINY = {"b1": 0.8, "b2": 0.9, "eps": 1e-4, "eps_root": 1e-6}
MU32, NU32, ACC32 = {"mu_dtype": "float32"}, {"nu_dtype": "float32"}, {"accumulator_dtype": "float32"}
DECAY = {"weight_decay": 0.1}
MASK = {**DECAY, "mask": matrices_only}
MASKED = {**DECAY, "weight_decay_mask": matrices_only}
UNIFORM = {**DECAY, "weight_decay_mask": gc.decay_matrices_only}
CUT = ("fully", "zero1")
"""How a matrix is cut in the laws of sharding: along both axes, along one."""
ROWWISE = {"gathers": CUT[:1]}  # products of a matrix with itself: cut along one axis, sums suffice
WHOLE = {"gathers": CUT}  # singular vectors, triangles, blocks that shards cut: of whole matrices
FIXED = {"w": True, "deep": False}
MEASURES = {"twin": False, "checks_leaves": False}  # columns
