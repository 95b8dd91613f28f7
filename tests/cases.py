"""THE TABLE: one row per public factory (and per variant worth its own row).

A row buys every law. `call` holds the arguments, the same for gradchain and for its twin; where
arguments are themselves transformations, it is a function of the module that makes them.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jax
import optax

import gradchain as gc
from gradchain.core.hyperparameters import RANGES


def matrices_only(tree: Any) -> Any:
    """A mask: leaves of two or more dimensions."""
    return jax.tree.map(lambda p: p.ndim >= 2, tree)


def halve(updates: Any, params: Any = None) -> Any:
    """A stateless rule on trees."""
    return jax.tree.map(lambda u: u * 0.5, updates)


def halve_leaf(g: Any, p: Any = None) -> Any:
    """A stateless rule on one array."""
    return g * 0.5


def down(count: Any) -> Any:
    """A schedule that is a plain function."""
    return 1.0 / (10.0 + jax.numpy.asarray(count, jax.numpy.float32))


@dataclasses.dataclass(frozen=True)
class Case:
    """A row. The columns after `call` say what the transformation can do, never a test."""

    name: str
    call: dict[str, Any] | Callable[[Any], tuple[Any, ...]] = dataclasses.field(default_factory=dict)
    twin: bool = True  # Optax has the same factory with the same arguments
    optimizer: bool = False  # goes downhill by itself
    needs_params: bool = False
    by_value: bool = True  # repr is code: every argument is a literal or remembers its call
    constant: bool = False  # its updates do not depend on the gradients
    complex: bool = True
    low_precision: float = 1.0  # widens the tolerance of float16 and bfloat16 values
    sweep: str | None = "auto"  # hyperparameter for vmap; None where no argument is numeric
    extra: Callable[[Any, int], dict[str, Any]] | None = None
    rtol: float = 1e-6

    def make(self, module: Any = gc, **changes: Any) -> Any:
        """The transformation, from gradchain or from its twin."""
        factory = getattr(module, self.name)
        if callable(self.call):
            return factory(*self.call(module))
        return factory(**(self.call | changes))

    @property
    def factory(self) -> Any:
        """gradchain's factory."""
        return getattr(gc, self.name)

    @property
    def hyperparameter(self) -> str | None:
        """The numeric argument that the vmap law sweeps."""
        if self.sweep != "auto" or callable(self.call):
            return None if callable(self.call) else self.sweep
        names = inspect.signature(self.factory).parameters
        given = [n for n in names if n in RANGES and not callable(self.call.get(n))]
        return given[0] if given else None

    @property
    def id(self) -> str:
        """The row's name in pytest's output."""
        if callable(self.call):
            return f"{self.name}(...)"
        shown = ",".join(f"{k}={getattr(v, '__name__', v)}" for k, v in self.call.items())
        return f"{self.name}({shown})"


def opt(name: str, **call: Any) -> Case:
    """A row for an optimizer with these arguments."""
    return Case(name, call, optimizer=True)


CASES = [
    # Putting together
    Case("chain", lambda m: (m.scale(2.0), m.scale_by_adam(), m.scale(-0.1)), optimizer=True),
    Case("chain", lambda m: (m.clip_by_global_norm(1.0), m.adamw(0.01)), needs_params=True),
    Case("named_chain", lambda m: (("clip", m.clip(1.0)), ("adam", m.adam(0.01)))),
    Case("identity"),
    Case("set_to_zero", constant=True),
    Case("stateless", lambda m: (halve,), by_value=False),
    Case("stateless_with_tree_map", lambda m: (halve_leaf,), by_value=False),
    Case("masked", lambda m: (m.adam(0.01), matrices_only), by_value=False),
    Case("masked", lambda m: (m.trace(0.9), {"w": True, "deep": False})),
    # Links
    Case("scale", {"step_size": -0.1}),
    Case("scale_by_learning_rate", {"learning_rate": 0.1}),
    Case("scale_by_learning_rate", {"learning_rate": down, "flip_sign": False}, by_value=False),
    Case("scale_by_schedule", {"step_size_fn": down}, by_value=False),
    Case("add_decayed_weights", {"weight_decay": 0.1}, needs_params=True),
    Case("add_decayed_weights", {"weight_decay": down}, needs_params=True, by_value=False),
    Case(
        "add_decayed_weights",
        {"weight_decay": 0.1, "mask": matrices_only},
        needs_params=True,
        by_value=False,
    ),
    Case("clip", {"max_delta": 0.5}),
    Case("clip_by_global_norm", {"max_norm": 0.5}),
    Case("clip_by_global_norm", {"max_norm": 50.0}),
    Case("trace", {"decay": 0.9}),
    Case("trace", {"decay": 0.9, "nesterov": True, "accumulator_dtype": "float32"}),
    Case("ema", {"decay": 0.9}),
    Case("ema", {"decay": 0.9, "debias": False, "accumulator_dtype": "float32"}),
    # Rules
    Case("scale_by_adam"),
    Case("scale_by_adam", {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "eps_root": 1e-4, "nesterov": True}),
    Case("scale_by_adamax", {"b1": 0.8, "b2": 0.95, "eps": 1e-3}),
    Case("scale_by_rss", {"initial_accumulator_value": 0.0, "eps": 1e-3}),
    Case("scale_by_rms", {"decay": 0.8, "initial_scale": 0.5}),
    Case("scale_by_rms", {"eps_in_sqrt": False, "bias_correction": True}),
    Case("scale_by_stddev", {"decay": 0.8, "initial_scale": 0.5, "eps": 1e-3}),
    Case("scale_by_stddev", {"bias_correction": True, "eps": 0.1}, rtol=1e-5),  # v - m^2 cancels
    Case("scale_by_adadelta", {"rho": 0.8, "eps": 1e-3}, complex=True),
    # Optimizers
    opt("sgd", learning_rate=0.1),
    opt("sgd", learning_rate=0.02, momentum=0.9),
    opt("sgd", learning_rate=0.02, momentum=0.9, nesterov=True, accumulator_dtype="float32"),
    opt("adagrad", learning_rate=0.5),
    opt("adagrad", learning_rate=0.5, initial_accumulator_value=0.0, eps=1e-3),
    opt("rmsprop", learning_rate=0.02),
    opt("rmsprop", learning_rate=0.02, decay=0.8, eps=1e-3, centered=True, initial_scale=1.0),
    opt("rmsprop", learning_rate=0.01, momentum=0.5, nesterov=True, eps_in_sqrt=False),
    opt("adadelta", learning_rate=1.0, rho=0.8, eps=1e-3),
    dataclasses.replace(opt("adadelta", learning_rate=1.0, weight_decay=0.01), needs_params=True),
    opt("adam", learning_rate=0.05),
    opt("adam", learning_rate=0.05, b1=0.8, b2=0.9, eps=1e-4, eps_root=1e-6, mu_dtype="float32"),
    dataclasses.replace(opt("adam", learning_rate=down), by_value=False),
    dataclasses.replace(opt("adamw", learning_rate=0.05), needs_params=True),
    dataclasses.replace(
        opt("adamw", learning_rate=0.05, weight_decay=0.1, mask=matrices_only, nesterov=True),
        needs_params=True,
        by_value=False,
    ),
    opt("adamax", learning_rate=0.05),
    opt("nadam", learning_rate=0.05),
]

TWINS = [case for case in CASES if case.twin and hasattr(optax, case.name)]
OPTIMIZERS = [case for case in CASES if case.optimizer]


def ids(cases: list[Case]) -> dict[str, Any]:
    """Arguments for pytest.mark.parametrize over rows."""
    return {"argvalues": cases, "ids": [case.id for case in cases]}
