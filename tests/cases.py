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


def by_rank(tree: Any) -> Any:
    """Labels: "a" for leaves of two or more dimensions, else "b"."""
    return jax.tree.map(lambda p: "a" if p.ndim >= 2 else "b", tree)


def every_other(step: Any) -> Any:
    """A condition: true on even steps."""
    return step % 2 == 0


def largest(updates: Any) -> Any:
    """A measure: the largest absolute value."""
    leaves = [jax.numpy.max(jax.numpy.abs(x), initial=0) for x in jax.tree.leaves(updates)]
    leaves = [x.astype(jax.numpy.float32) for x in leaves]
    return jax.numpy.max(jax.numpy.stack(leaves)) if leaves else jax.numpy.zeros(())


def down(count: Any) -> Any:
    """A schedule that is a plain function."""
    return 1.0 / (10.0 + jax.numpy.asarray(count, jax.numpy.float32))


@dataclasses.dataclass(frozen=True)
class Case:
    """A row. The columns after `call` say what the transformation can do, never a test."""

    name: str
    call: dict[str, Any] | Callable[[Any], tuple[Any, ...]] = dataclasses.field(default_factory=dict)
    keywords: dict[str, Any] = dataclasses.field(default_factory=dict)  # beside a function `call`
    twin: bool = True  # Optax has the same factory with the same arguments
    optimizer: bool = False  # goes downhill by itself
    needs_params: bool = False
    by_value: bool = True  # repr is code: every argument is a literal or remembers its call
    constant: bool = False  # its updates do not depend on the gradients
    any_tree: bool = True  # fits parameters of any structure
    absent: bool = True  # a missing leaf changes nothing for the others
    checks_leaves: bool = True  # complains of gradients unlike the parameters
    keeps_sharding: bool = True
    complex: bool = True
    low_precision: float = 1.0  # widens the tolerance of float16 and bfloat16 values
    sweep: str | None = "auto"  # hyperparameter for vmap; None where no argument is numeric
    extra: Callable[[Any, int], dict[str, Any]] | None = None
    rtol: float = 1e-6

    def make(self, module: Any = gc, **changes: Any) -> Any:
        """The transformation, from gradchain or from its twin."""
        factory = getattr(module, self.name)
        if callable(self.call):
            return factory(*self.call(module), **self.keywords)
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
    Case("chain", lambda m: (m.clip(2.0), m.scale_by_adam(), m.scale(-0.1)), optimizer=True),
    Case("chain", lambda m: (m.clip_by_global_norm(1.0), m.adamw(0.01)), needs_params=True),
    Case("named_chain", lambda m: (("clip", m.clip(1.0)), ("adam", m.adam(0.01)))),
    Case("identity", checks_leaves=False),
    Case("set_to_zero", constant=True),
    Case("stateless", lambda m: (halve,), by_value=False, checks_leaves=False),
    Case("stateless_with_tree_map", lambda m: (halve_leaf,), by_value=False, checks_leaves=False),
    Case("masked", lambda m: (m.adam(0.01), matrices_only), by_value=False),
    Case("masked", lambda m: (m.trace(0.9), {"w": True, "deep": False}), any_tree=False),
    # Wrappers
    Case("partition", lambda m: ({"a": m.adam(0.01), "b": m.sgd(0.1, 0.9)}, by_rank), by_value=False),
    Case("partition", lambda m: ({"a": m.adamw(0.01), "b": m.set_to_zero()}, {"w": "a", "deep": "b"}),
         needs_params=True, any_tree=False),
    Case("freeze", lambda m: (matrices_only,), by_value=False, twin=False, constant=True),
    Case("freeze", lambda m: ({"w": True, "deep": False},), any_tree=False),
    Case("selective_transform", lambda m: (m.adam(0.01),), {"freeze_mask": {"w": True, "deep": False}},
         any_tree=False),
    Case("accumulate_gradients", lambda m: (m.adam(0.01), 3), twin=False),
    Case("accumulate_gradients", lambda m: (m.sgd(0.1), 2), {"use_grad_mean": False}, twin=False),
    Case("accumulate_gradients", lambda m: (m.adamw(0.01), 1), twin=False, needs_params=True),
    Case("apply_if_finite", lambda m: (m.adam(0.01), 2)),
    Case("conditionally_transform", lambda m: (m.adam(0.01), every_other), by_value=False),
    Case("conditionally_mask", lambda m: (m.sgd(0.1, 0.9), every_other), by_value=False),
    Case("flatten", lambda m: (m.adam(0.01),), keeps_sharding=False, checks_leaves=False, absent=False),
    Case("lookahead", lambda m: (m.sgd(0.1, 0.9), 2, 0.5), twin=False, optimizer=True, needs_params=True),
    Case("lookahead", lambda m: (m.adam(0.1), 3, 0.8, True), twin=False, optimizer=True,
         needs_params=True),
    Case("with_global_norm", lambda m: (m.chain(m.clip_by_global_norm(1.0), m.sgd(0.1)),), twin=False),
    Case("snapshot", lambda m: ("largest", largest), by_value=False),
    Case("monitor", lambda m: ({"size": largest, "slow": m.measure_with_ema(largest, 0.9)},),
         by_value=False, twin=False, checks_leaves=False),
    Case("monitor", lambda m: ({"n": m.measure_norm(), "r": m.measure_update_ratio()},), twin=False,
         needs_params=True, checks_leaves=False),
    # Links
    Case("adaptive_grad_clip", {"clipping": 0.1, "eps": 0.01}, needs_params=True),
    Case("keep_params_nonnegative", needs_params=True),
    Case("zero_nans", checks_leaves=False),
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
