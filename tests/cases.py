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
from trees import gradients

import gradchain as gc
from gradchain.core import RANGES


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


def constant_decay(step: Any, rate: Any) -> Any:
    """A decay_rate_fn."""
    return 0.9 * rate


def lossy(p: Any, step: int) -> dict[str, Any]:
    """The extra argument of those that ask for the loss's value."""
    return {"value": jax.numpy.float32(0.5 + 0.1 * step)}


def energy(p: Any, step: int) -> dict[str, Any]:
    """The loss |p|^2, for those that follow its value."""
    squares = [jax.numpy.sum(jax.numpy.abs(x).astype("float32") ** 2) for x in jax.tree.leaves(p)]
    return {"value": sum(squares, jax.numpy.float32(0))}


def quartic(p: Any) -> Any:
    """A loss whose curvature depends on the parameters."""
    fourths = [jax.numpy.sum(x.astype("float32") ** 4) for x in jax.tree.leaves(p)]
    return sum(fourths, jax.numpy.float32(0)) / 100


def curved(p: Any, step: int) -> dict[str, Any]:
    """The loss as a function, for those that ask for its curvature."""
    return {"obj_fn": quartic}


def raised(x: Any) -> Any:
    """`x` in at least float32."""
    return x.astype("float32") if x.dtype.itemsize < 4 else x


def height(middle: Any, q: Any) -> Any:
    """The height of a bowl."""
    gaps = jax.tree.map(lambda x, m: jax.numpy.abs(raised(x) - m.astype(raised(x).dtype)), q, middle)
    squares = [jax.numpy.sum(gap**2 + 0.5 * gap**4) for gap in jax.tree.leaves(gaps)]
    return 0.5 * sum(squares[1:], squares[0]) if squares else jax.numpy.float32(0)


def bowl(p: Any, away: Any) -> dict[str, Any]:
    """A bowl with its middle so far away from the parameters."""
    middle = jax.tree.map(lambda x, d: raised(x) + raised(d), p, away)
    value_fn = jax.tree_util.Partial(height, middle)  # a pytree, so that searches are compiled once
    grad = jax.tree.map(lambda d: -jax.numpy.conj(d) * (1 + jax.numpy.abs(d) ** 2).astype(d.dtype), away)
    return {"value": value_fn(p), "grad": grad, "value_fn": value_fn}


def ahead(p: Any, step: int, length: float = 1.0) -> dict[str, Any]:
    """The bowl to which the gradients of this and the next two steps lead: for a line search alone."""
    near, far, farther = (gradients(p, step + i) for i in range(3))
    away = jax.tree.map(lambda a, b, c: length * (0.75 * a + 0.5 * (b + c)), near, far, farther)
    return bowl(p, away)


def behind(p: Any, step: int) -> dict[str, Any]:
    """The bowl from which those gradients lead away: for a line search after a descent rule."""
    return ahead(p, step, -1.0)


def find(module: Any, name: str) -> Any:
    """A factory by name, of the contrib module if it is there."""
    return getattr(module.contrib if hasattr(module.contrib, name) else module, name)


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
    injects: float | None = 5e-7  # how closely injected hyperparameters follow; None: another count
    bitwise: bool = False  # injected hyperparameters give the same bits (XLA may round elsewhere)
    constant: bool = False  # its updates do not depend on the gradients
    any_tree: bool = True  # fits parameters of any structure
    absent: bool = True  # a missing leaf changes nothing for the others
    checks_leaves: bool = True  # complains of gradients unlike the parameters
    keeps_sharding: bool = True
    complex: bool = True
    low_precision: float = 1.0  # widens the tolerance of float16 and bfloat16 values
    random: bool = False  # draws other numbers in float64
    squares: tuple[str, ...] = ("nu", "nu_max", "e_g", "sum_of_squares")  # second moments in its state
    sweep: str | None = "auto"  # hyperparameter for vmap; None where no argument is numeric
    extra: Callable[[Any, int], dict[str, Any]] | None = None
    rtol: float = 1e-6
    valley: float = 1e-6  # the tolerance on Rosenbrock in float64, where a path may amplify rounding
    follows: float = 1e-4  # how closely the first steps in float32 follow float64

    def make(self, module: Any = gc, **changes: Any) -> Any:
        """The transformation, from gradchain or from its twin."""
        factory = find(module, self.name)
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


def classic(name: str, **call: Any) -> Case:
    """A row for a classic optimizer."""
    return Case(name, call, optimizer=True, bitwise=True)


def optp(name: str, **call: Any) -> Case:
    """A row for an optimizer that needs the parameters."""
    return Case(name, call, optimizer=True, needs_params=True)


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
    Case(
        "partition",
        lambda m: ({"a": m.adamw(0.01), "b": m.set_to_zero()}, {"w": "a", "deep": "b"}),
        needs_params=True,
        any_tree=False,
    ),
    Case("freeze", lambda m: (matrices_only,), by_value=False, twin=False, constant=True),
    Case("freeze", lambda m: ({"w": True, "deep": False},), any_tree=False),
    Case(
        "selective_transform",
        lambda m: (m.adam(0.01),),
        {"freeze_mask": {"w": True, "deep": False}},
        any_tree=False,
    ),
    Case("accumulate_gradients", lambda m: (m.adam(0.01), 3), twin=False),
    Case("accumulate_gradients", lambda m: (m.sgd(0.1), 2), {"use_grad_mean": False}, twin=False),
    Case("accumulate_gradients", lambda m: (m.adamw(0.01), 1), twin=False, needs_params=True),
    Case("apply_every", {"k": 3}),
    Case("apply_if_finite", lambda m: (m.adam(0.01), 2)),
    Case("conditionally_transform", lambda m: (m.adam(0.01), every_other), by_value=False),
    Case("conditionally_mask", lambda m: (m.sgd(0.1, 0.9), every_other), by_value=False),
    Case("flatten", lambda m: (m.adam(0.01),), keeps_sharding=False, checks_leaves=False, absent=False),
    Case(
        "lookahead",
        lambda m: (m.sgd(0.1, 0.9), 2, 0.5),
        twin=False,
        optimizer=True,
        needs_params=True,
        low_precision=4.0,
    ),
    Case("lookahead", lambda m: (m.adam(0.1), 3, 0.8, True), twin=False, optimizer=True, needs_params=True),
    Case("with_global_norm", lambda m: (m.chain(m.clip_by_global_norm(1.0), m.sgd(0.1)),), twin=False),
    Case("snapshot", lambda m: ("largest", largest), by_value=False, checks_leaves=False),
    Case(
        "monitor",
        lambda m: ({"size": largest, "slow": m.measure_with_ema(largest, 0.9)},),
        by_value=False,
        twin=False,
        checks_leaves=False,
    ),
    Case(
        "monitor",
        lambda m: ({"g": m.measure_group_norms({"w": "a", "deep": "b"})},),
        twin=False,
        any_tree=False,
        checks_leaves=False,
    ),
    Case(
        "monitor",
        lambda m: ({"n": m.measure_norm(), "r": m.measure_update_ratio()},),
        twin=False,
        needs_params=True,
        checks_leaves=False,
    ),
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
    classic("sgd", learning_rate=0.1),
    classic("sgd", learning_rate=0.02, momentum=0.9),
    classic("sgd", learning_rate=0.02, momentum=0.9, nesterov=True, accumulator_dtype="float32"),
    classic("adagrad", learning_rate=0.5),
    classic("adagrad", learning_rate=0.5, initial_accumulator_value=0.0, eps=1e-3),
    classic("rmsprop", learning_rate=0.02),
    classic("rmsprop", learning_rate=0.02, decay=0.8, eps=1e-3, centered=True, initial_scale=1.0),
    classic("rmsprop", learning_rate=0.01, momentum=0.5, nesterov=True, eps_in_sqrt=False),
    classic("adadelta", learning_rate=1.0, rho=0.8, eps=1e-3),
    dataclasses.replace(opt("adadelta", learning_rate=1.0, weight_decay=0.01), needs_params=True),
    classic("adam", learning_rate=0.05),
    classic("adam", learning_rate=0.05, b1=0.8, b2=0.9, eps=1e-4, eps_root=1e-6, mu_dtype="float32"),
    dataclasses.replace(classic("adam", learning_rate=down), by_value=False),
    dataclasses.replace(classic("adamw", learning_rate=0.05), needs_params=True),
    dataclasses.replace(
        classic("adamw", learning_rate=0.05, weight_decay=0.1, mask=matrices_only, nesterov=True),
        needs_params=True,
        by_value=False,
    ),
    classic("adamax", learning_rate=0.05),
    classic("nadam", learning_rate=0.05),
    # Links and rules of the flat namespace: blocks, signs, noise
    Case("scale_by_trust_ratio", needs_params=True),
    Case(
        "scale_by_trust_ratio", {"min_norm": 2.0, "trust_coefficient": 0.1, "eps": 0.5}, needs_params=True
    ),
    Case("scale_by_param_block_norm", {"min_scale": 1.5}, needs_params=True),
    Case("scale_by_param_block_rms", {"min_scale": 1.1}, needs_params=True),
    Case("clip_by_block_rms", {"threshold": 0.5}, sweep="threshold"),
    Case("normalize_by_update_norm"),
    Case("normalize_by_update_norm", {"scale_factor": 2.0, "eps": 0.5}, sweep="scale_factor"),
    Case("centralize"),
    Case("scale_by_sign"),
    Case("add_noise", {"eta": 0.1, "gamma": 0.5, "key": 3}, random=True, sweep="eta"),
    Case("scale_by_optimistic_gradient", {"alpha": 0.5, "beta": 2.0}, sweep="alpha"),
    Case("scale_by_belief", {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "eps_root": 1e-4, "nesterov": True}),
    Case(
        "scale_by_belief",
        {"mu_dtype": "float32", "nu_dtype": "float32", "b2": down},
        twin=False,
        by_value=False,
    ),
    Case("scale_by_adan", {"b1": 0.9, "b2": 0.8, "b3": 0.95, "eps": 1e-3, "eps_root": 1e-4}),
    Case(
        "scale_by_adan",
        {"b1": down, "change_weight": down, "mu_dtype": "float32"},
        twin=False,
        by_value=False,
    ),
    Case("scale_by_amsgrad", {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "eps_root": 1e-4, "mu_dtype": "float32"}),
    Case("scale_by_amsgrad", {"bias_correction_mu": False, "bias_correction_nu": False, "eps": 0.1}),
    Case("scale_by_amsgrad", {"correct_after_max": True, "nu_dtype": "float32"}, twin=False),
    Case("scale_by_lion", {"b1": 0.8, "b2": 0.95, "mu_dtype": "float32"}),
    Case("scale_by_lion", {"mode": "smooth", "smooth_beta": 2.0}),
    Case("scale_by_lion", {"mode": "refined"}),
    Case(
        "scale_by_novograd",
        {"b1": 0.8, "b2": 0.5, "eps": 0.1, "eps_root": 0.1, "weight_decay": 0.1, "mu_dtype": "float32"},
        needs_params=True,
    ),
    Case(
        "scale_by_novograd",
        {"weight_decay": 0.1, "weight_decay_mask": matrices_only, "nu_dtype": "float32"},
        twin=False,
        needs_params=True,
        by_value=False,
    ),
    Case(
        "scale_by_radam",
        {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "eps_root": 1e-4, "nesterov": True},
        rtol=1e-5,
    ),  # Optax's ro cancels
    Case("scale_by_radam", {"b2": 0.9, "threshold": 4.5}, rtol=1e-5),
    Case(
        "scale_by_rprop",
        {
            "learning_rate": 0.1,
            "eta_minus": 0.4,
            "eta_plus": 1.3,
            "min_step_size": 0.05,
            "max_step_size": 0.2,
        },
    ),
    Case("scale_by_sm3", {"b1": 0.8, "b2": 0.9, "eps": 1e-3}, twin=False, squares=("mu",)),
    Case(
        "scale_by_yogi",
        {"b1": 0.8, "b2": 0.95, "eps": 1e-2, "eps_root": 1e-4, "initial_accumulator_value": 0.1},
    ),
    Case("scale_by_polyak", extra=lossy, sweep="f_min"),
    Case(
        "scale_by_polyak",
        {"f_min": 0.7, "max_learning_rate": 0.05, "eps": 0.5, "variant": "sps+"},
        extra=lossy,
        sweep="f_min",
    ),
    Case(
        "scale_by_distance_over_gradients",
        {"reps_rel": 0.1, "eps": 1e-3, "global_scale": 0.5},
        needs_params=True,
        twin=False,
        sweep="global_scale",
    ),  # Optax's changes the shape of scalars
    Case("scale_by_factored_rms", {"min_dim_size_to_factor": 2, "decay_rate": 0.5, "epsilon": 1e-3}),
    Case(
        "scale_by_factored_rms",
        {"factored": False, "min_dim_size_to_factor": 1, "decay_rate_fn": constant_decay},
        by_value=False,
    ),
    Case(
        "scale_by_factored_rms",
        {"step_offset": 1000, "decay_rate": down},
        injects=None,
        twin=False,
        by_value=False,
        squares=("v", "v_row", "v_col"),
    ),
    # Optimizers of the flat namespace
    opt("adabelief", learning_rate=0.05),
    opt("adabelief", learning_rate=0.05, b1=0.8, b2=0.9, eps=1e-4, eps_root=1e-6, nesterov=True),
    Case("adafactor", {"learning_rate": 0.05}, optimizer=True, needs_params=True, squares=("v",)),
    Case(
        "adafactor",
        {
            "learning_rate": 0.05,
            "min_dim_size_to_factor": 2,
            "decay_rate": 0.5,
            "eps": 1e-3,
            "multiply_by_parameter_scale": False,
            "clipping_threshold": 0.8,
            "momentum": 0.5,
            "dtype_momentum": "float32",
            "weight_decay_rate": 1e-3,
            "weight_decay_mask": matrices_only,
        },
        optimizer=True,
        needs_params=True,
        by_value=False,
    ),
    Case(
        "adafactor",
        {
            "learning_rate": down,
            "factored": False,
            "clipping_threshold": None,
            "multiply_by_parameter_scale": False,
            "decay_offset": 100,
            "weight_decay": 0.01,
        },
        optimizer=True,
        needs_params=True,
        twin=False,
        by_value=False,
    ),
    Case("adamaxw", {"learning_rate": 0.05}, optimizer=True, needs_params=True),
    Case(
        "adamaxw",
        {
            "learning_rate": 0.05,
            "b1": 0.8,
            "b2": 0.9,
            "eps": 1e-3,
            "weight_decay": 0.1,
            "mask": matrices_only,
        },
        optimizer=True,
        needs_params=True,
        by_value=False,
    ),
    dataclasses.replace(opt("adan", learning_rate=0.05), squares=("n",)),
    Case(
        "adan",
        {
            "learning_rate": 0.05,
            "b1": 0.9,
            "b2": 0.8,
            "b3": 0.95,
            "eps": 1e-3,
            "eps_root": 1e-4,
            "weight_decay": 0.1,
            "mask": matrices_only,
        },
        optimizer=True,
        needs_params=True,
        by_value=False,
    ),
    opt("amsgrad", learning_rate=0.05),
    opt(
        "amsgrad",
        learning_rate=0.05,
        b1=0.8,
        b2=0.9,
        eps=1e-3,
        eps_root=1e-4,
        mu_dtype="float32",
        bias_correction_mu=False,
        bias_correction_nu=False,
    ),
    Case("fromage", {"learning_rate": 0.1}, optimizer=True, needs_params=True),
    Case(
        "fromage",
        {"learning_rate": down, "min_norm": 0.1},
        optimizer=True,
        needs_params=True,
        by_value=False,
        valley=1e-4,
    ),
    Case("lamb", {"learning_rate": 0.02}, optimizer=True, needs_params=True),
    Case(
        "lamb",
        {
            "learning_rate": 0.02,
            "b1": 0.8,
            "b2": 0.9,
            "eps": 1e-3,
            "eps_root": 1e-4,
            "weight_decay": 0.1,
            "mask": matrices_only,
        },
        optimizer=True,
        needs_params=True,
        by_value=False,
    ),
    Case("lars", {"learning_rate": 2.0}, optimizer=True, needs_params=True),
    Case(
        "lars",
        {
            "learning_rate": 0.1,
            "weight_decay": 0.01,
            "weight_decay_mask": matrices_only,
            "trust_coefficient": 0.1,
            "eps": 1e-3,
            "trust_ratio_mask": matrices_only,
            "momentum": 0.5,
            "nesterov": True,
        },
        optimizer=True,
        needs_params=True,
        by_value=False,
    ),
    Case("lion", {"learning_rate": 0.02}, optimizer=True, needs_params=True),
    Case(
        "lion",
        {
            "learning_rate": 0.02,
            "b1": 0.8,
            "b2": 0.9,
            "mu_dtype": "float32",
            "weight_decay": 0.1,
            "mask": matrices_only,
        },
        optimizer=True,
        needs_params=True,
        by_value=False,
    ),
    Case(
        "lion", {"learning_rate": 0.05, "mode": "refined", "weight_decay": 0.0}, optimizer=True, twin=False
    ),
    Case("nadamw", {"learning_rate": 0.05}, optimizer=True, needs_params=True),
    Case(
        "nadamw",
        {
            "learning_rate": 0.05,
            "b1": 0.8,
            "b2": 0.9,
            "eps": 1e-3,
            "eps_root": 1e-4,
            "mu_dtype": "float32",
            "weight_decay": 0.1,
            "mask": matrices_only,
        },
        optimizer=True,
        needs_params=True,
        by_value=False,
    ),
    Case("noisy_sgd", {"learning_rate": 0.05, "key": 0}, optimizer=True, random=True),
    Case(
        "noisy_sgd",
        {"learning_rate": 0.05, "eta": 0.1, "gamma": 0.6, "key": 5},
        optimizer=True,
        random=True,
    ),
    opt("novograd", learning_rate=0.02),
    Case(
        "novograd",
        {"learning_rate": 0.02, "b1": 0.8, "b2": 0.5, "eps": 1e-3, "eps_root": 1e-4, "weight_decay": 0.01},
        optimizer=True,
        needs_params=True,
    ),
    dataclasses.replace(opt("optimistic_adam_v2", learning_rate=0.05), low_precision=2.0),  # a difference
    opt(
        "optimistic_adam_v2",
        learning_rate=0.05,
        alpha=0.8,
        beta=0.5,
        b1=0.8,
        b2=0.9,
        eps=1e-3,
        eps_root=1e-4,
        mu_dtype="float32",
        nesterov=False,
    ),
    opt("optimistic_gradient_descent", learning_rate=0.05),
    opt("optimistic_gradient_descent", learning_rate=0.05, alpha=0.8, beta=0.5),
    Case("polyak_sgd", optimizer=True, extra=lossy, sweep="scaling"),
    Case(
        "polyak_sgd",
        {"max_learning_rate": 0.1, "scaling": 0.5, "f_min": -0.5, "eps": 0.1, "variant": "sps+"},
        optimizer=True,
        extra=lossy,
        sweep="scaling",
    ),
    dataclasses.replace(opt("radam", learning_rate=0.05), rtol=1e-3),  # in float32 Optax's ro has 2 digits
    opt("radam", learning_rate=0.05, b1=0.8, b2=0.9, eps=1e-3, eps_root=1e-4, threshold=4.5, nesterov=True),
    opt("rprop", learning_rate=0.05),
    opt("rprop", learning_rate=0.05, eta_minus=0.4, eta_plus=1.3, min_step_size=1e-3, max_step_size=0.5),
    dataclasses.replace(opt("rprop", learning_rate=0.05, delayed=False), twin=False),
    opt("sign_sgd", learning_rate=0.02),
    opt("signum", learning_rate=0.02),
    opt("signum", learning_rate=0.02, beta=0.5, accumulator_dtype="float32"),
    Case("sm3", {"learning_rate": 0.5}, optimizer=True, twin=False, squares=("mu",)),  # Optax: no scalars
    Case(
        "sm3",
        {"learning_rate": 0.5, "momentum": 0.5, "weight_decay": 0.01},
        optimizer=True,
        twin=False,
        needs_params=True,
        squares=("mu",),
    ),
    opt("yogi", learning_rate=0.05),
    opt("yogi", learning_rate=0.05, b1=0.8, b2=0.9, eps=1e-2),
    # The uniform decay, where Optax has none
    *(
        Case(
            name,
            {"learning_rate": 0.02, "weight_decay": 0.1, "weight_decay_mask": gc.decay_matrices_only},
            optimizer=True,
            twin=False,
            needs_params=True,
            low_precision=2.0,
        )
        for name in (
            "adabelief",
            "adamaxw",
            "adan",
            "amsgrad",
            "lamb",
            "lion",
            "nadamw",
            "novograd",
            "optimistic_adam_v2",
            "optimistic_gradient_descent",
            "radam",
            "sign_sgd",
            "signum",
            "yogi",
        )
    ),
    Case(
        "noisy_sgd",
        {"learning_rate": 0.02, "weight_decay": 0.01, "key": 1},
        optimizer=True,
        twin=False,
        needs_params=True,
        random=True,
    ),
    # Contrib
    opt("acprop", learning_rate=0.01, weight_decay=0.0),
    optp("acprop", learning_rate=0.01, b1=0.8, b2=0.9, eps=1e-3, eps_root=1e-4, weight_decay=0.1),
    Case("scale_by_acprop", {"b1": 0.8, "b2": 0.9}),
    opt("ademamix", learning_rate=0.01),
    optp(
        "ademamix",
        learning_rate=0.01,
        b1=0.8,
        b2=0.9,
        b3=0.99,
        alpha=2.0,
        eps=1e-3,
        eps_root=1e-4,
        mu_dtype="float32",
        weight_decay=0.1,
    ),
    Case("scale_by_ademamix", {"b3": down, "alpha": down}, by_value=False),
    opt("simplified_ademamix", learning_rate=0.001),
    optp(
        "simplified_ademamix",
        learning_rate=0.005,
        b1=0.9,
        b2=0.9,
        alpha=1.0,
        eps=1e-3,
        eps_root=1e-4,
        weight_decay=0.1,
    ),
    Case("scale_by_simplified_ademamix", {"alpha": down}, by_value=False),
    # Optax rounds b2 to float32 before 1 - b2
    dataclasses.replace(opt("adopt", learning_rate=0.05), rtol=1e-4),
    opt(
        "adopt",
        learning_rate=0.05,
        b1=0.8,
        b2=0.9,
        eps=1e-2,
        mu_dtype="float32",
        nesterov=True,
        use_clipping=False,
    ),
    Case("scale_by_adopt", {"b2": 0.75, "clip_value_fn": halve}, by_value=False),
    # The parameters leave their start by less than float32 tells apart
    dataclasses.replace(optp("cocob"), rtol=2e-5, low_precision=4.0),
    dataclasses.replace(
        optp("cocob", learning_rate=0.5, alpha=10.0, eps=1e-3, weight_decay=0.1),
        rtol=2e-6,
        low_precision=4.0,
    ),
    Case("scale_by_cocob", {"alpha": 10.0, "eps": 0.1}, needs_params=True, low_precision=4.0),
    dataclasses.replace(optp("dadapt_adamw"), rtol=2e-5, low_precision=64.0),
    optp("dadapt_adamw", learning_rate=0.5, betas=(0.8, 0.9), eps=1e-3, estim_lr0=1e-2, weight_decay=0.1),
    # First steps of 1e-6, below float16's least number; the next row begins with larger ones
    dataclasses.replace(optp("dog"), low_precision=1e3, follows=1e-2),
    optp("dog", learning_rate=0.5, init_step=("learning_rate", 0.1), eps=1e-3, weight_decay=0.1),
    optp("dog", init_step=("distance", 0.1)),
    Case("scale_by_dog", {"init_step": ("heuristic", 1e-3)}, needs_params=True),
    optp("dowg"),
    optp("dowg", learning_rate=0.5, init_estim_sq_dist=0.1, eps=1e-3, weight_decay=0.1),
    Case("scale_by_dowg", {"init_estim_sq_dist": 0.1}, needs_params=True),
    opt("galore", learning_rate=0.05, rank=1),
    optp("galore", learning_rate=0.05, rank=1, update_proj_gap=3, scale=0.5, weight_decay=0.1),
    Case("galore", {"learning_rate": 0.05}, keeps_sharding=False),
    Case("scale_by_galore", {"rank": 1, "update_proj_gap": 2}, sweep="scale"),
    dataclasses.replace(optp("madgrad", learning_rate=0.05), rtol=5e-6),
    optp("madgrad", learning_rate=0.05, momentum=0.5, weight_decay=0.1, eps=1e-3),
    dataclasses.replace(optp("madgrad", learning_rate=down), by_value=False, rtol=1e-5),
    Case("scale_by_madgrad", {"learning_rate": 0.1}, needs_params=True, rtol=1e-5),
    dataclasses.replace(optp("momo", learning_rate=0.05), extra=energy),
    dataclasses.replace(
        optp(
            "momo", learning_rate=0.05, beta=0.8, lower_bound=0.1, weight_decay=0.1, adapt_lower_bound=True
        ),
        extra=energy,
        rtol=1e-4,
        low_precision=4.0,
    ),
    dataclasses.replace(optp("momo_adam", learning_rate=0.05), extra=energy, rtol=2e-5, low_precision=4.0),
    dataclasses.replace(
        optp(
            "momo_adam",
            learning_rate=0.05,
            b1=0.8,
            b2=0.9,
            eps=1e-3,
            lower_bound=0.1,
            weight_decay=0.1,
            adapt_lower_bound=True,
        ),
        extra=energy,
        rtol=1e-5,
        low_precision=4.0,
    ),
    # Newton-Schulz iterations enlarge rounding errors
    dataclasses.replace(opt("muon", learning_rate=0.02), rtol=5e-6, low_precision=8.0),
    dataclasses.replace(
        optp(
            "muon",
            learning_rate=0.02,
            ns_coeffs="dion",
            nesterov=False,
            consistent_rms=0.2,
            adam_learning_rate=0.05,
            weight_decay=0.1,
            adam_weight_decay=0.1,
        ),
        low_precision=8.0,
    ),
    dataclasses.replace(
        opt(
            "muon",
            learning_rate=0.02,
            ns_steps=3,
            beta=0.8,
            eps=1e-3,
            adaptive=True,
            preconditioning="aol",
            mu_dtype="float32",
            adam_b1=0.5,
            adam_b2=0.8,
            adam_eps_root=1e-3,
        ),
        low_precision=8.0,
    ),
    dataclasses.replace(
        opt("muon", learning_rate=0.02, preconditioning="schatten"), rtol=5e-6, low_precision=8.0
    ),
    dataclasses.replace(
        opt("muon", learning_rate=0.02, preconditioning="spectral"), rtol=5e-6, low_precision=8.0
    ),
    Case(
        "masked",
        lambda m: (m.contrib.scale_by_muon(), {"w": True, "deep": False}),
        any_tree=False,
        twin=False,
        low_precision=8.0,
    ),
    dataclasses.replace(optp("prodigy"), rtol=2e-5, low_precision=64.0),
    dataclasses.replace(
        optp(
            "prodigy",
            learning_rate=0.5,
            betas=(0.8, 0.9),
            beta3=0.9,
            eps=1e-4,
            estim_lr0=1e-2,
            estim_lr_coef=0.8,
            weight_decay=0.1,
            safeguard_warmup=True,
        ),
        valley=1e-4,
    ),
    Case(
        "schedule_free",
        lambda m: (m.sgd(0.1), 0.1),
        optimizer=True,
        needs_params=True,
        rtol=1e-5,
        low_precision=4.0,
    ),
    Case(
        "schedule_free",
        lambda m: (m.adam(0.1), 0.1),
        {"b1": 0.8, "weight_lr_power": 1.0, "state_dtype": "float32"},
        optimizer=True,
        needs_params=True,
        rtol=1e-5,
        low_precision=4.0,
    ),
    dataclasses.replace(
        optp("schedule_free_sgd", learning_rate=0.1), rtol=1e-5, injects=1e-5, low_precision=4.0
    ),
    dataclasses.replace(
        optp("schedule_free_sgd", learning_rate=0.1, b1=0.8, weight_decay=0.1, weight_lr_power=1.0),
        rtol=1e-5,
        injects=1e-5,
        low_precision=4.0,
    ),
    dataclasses.replace(
        optp("schedule_free_adamw", learning_rate=0.05), rtol=1e-4, injects=1e-5, low_precision=4.0
    ),
    dataclasses.replace(
        optp(
            "schedule_free_adamw",
            learning_rate=0.05,
            b1=0.8,
            b2=0.9,
            eps=1e-3,
            weight_decay=0.1,
            weight_lr_power=1.0,
            warmup_steps=5,
        ),
        injects=1e-5,
        twin=False,
        low_precision=4.0,  # Optax weighs a step by the next one's learning rate
    ),
    dataclasses.replace(
        optp("sophia", learning_rate=0.02), extra=curved, complex=False, rtol=2e-5, low_precision=4.0
    ),
    dataclasses.replace(
        optp(
            "sophia",
            learning_rate=0.02,
            b1=0.8,
            b2=0.9,
            eps=1e-3,
            gamma=0.5,
            clip_threshold=0.3,
            update_interval=3,
            mu_dtype="float32",
            weight_decay=0.1,
        ),
        extra=curved,
        complex=False,
        low_precision=4.0,
    ),
    Case(
        "scale_by_sophia",
        {"clip_threshold": None, "update_interval": 2, "eps": 0.1},
        needs_params=True,
        extra=curved,
        complex=False,
        low_precision=4.0,
    ),
    Case(
        "hutchinson_estimator_diag_hessian",
        needs_params=True,
        constant=True,
        extra=curved,
        complex=False,
        low_precision=4.0,
    ),
    # Contrib's links and wrappers
    Case("normalize"),
    Case("reduce_on_plateau", extra=lossy),
    Case(
        "reduce_on_plateau",
        {
            "factor": 0.5,
            "patience": 2,
            "rtol": 1e-3,
            "atol": 1e-3,
            "cooldown": 2,
            "accumulation_size": 2,
            "min_scale": 0.2,
        },
        extra=lossy,
    ),
    Case(
        "sam",
        lambda m: (m.sgd(0.02, 0.9), m.chain(m.contrib.normalize(), m.sgd(0.05))),
        optimizer=True,
        needs_params=True,
    ),
    Case(
        "sam",
        lambda m: (m.adam(0.05), m.adam(0.01)),
        {"sync_period": 3, "reset_state": False},
        optimizer=True,
        needs_params=True,
    ),
    # First steps as small as the last digit of the parameters
    Case("mechanize", lambda m: (m.sgd(1.0),), needs_params=True, optimizer=True, follows=0.5),
    Case(
        "mechanize",
        lambda m: (m.adam(0.1),),
        {"weight_decay": 0.1, "eps": 1e-3, "s_init": 1e-2, "num_betas": 4},
        needs_params=True,
        follows=1e-2,
    ),
    Case("split_real_and_imaginary", lambda m: (m.adam(0.05),), optimizer=True),
    # Line searches and L-BFGS. Optax also keeps pairs of negative curvature, as random gradients give:
    # test_linesearch.py compares on losses instead.
    Case(
        "scale_by_backtracking_linesearch",
        {"max_backtracking_steps": 10},
        needs_params=True,
        extra=ahead,
        sweep="slope_rtol",
    ),
    Case(
        "scale_by_backtracking_linesearch",
        {
            "max_backtracking_steps": 5,
            "slope_rtol": 0.3,
            "decrease_factor": 0.5,
            "increase_factor": 3.0,
            "max_learning_rate": 4.0,
            "atol": 1e-3,
            "rtol": 1e-3,
            "store_grad": True,
        },
        needs_params=True,
        extra=ahead,
        sweep="slope_rtol",
    ),
    Case(
        "scale_by_zoom_linesearch",
        {"max_linesearch_steps": 10},
        needs_params=True,
        extra=ahead,
        sweep="slope_rtol",
    ),
    Case(
        "scale_by_zoom_linesearch",
        {
            "max_linesearch_steps": 15,
            "max_learning_rate": 2.0,
            "tol": 1e-4,
            "increase_factor": 1.5,
            "slope_rtol": 1e-3,
            "curv_rtol": 0.2,
            "approx_dec_rtol": None,
            "stepsize_precision": 1e-3,
            "initial_guess_strategy": "one",
        },
        needs_params=True,
        extra=ahead,
        sweep="slope_rtol",
    ),
    Case("scale_by_lbfgs", {"memory_size": 4}, twin=False, needs_params=True, low_precision=4.0),
    Case(
        "scale_by_lbfgs",
        {"memory_size": 3, "scale_init_precond": False},
        twin=False,
        needs_params=True,
        low_precision=4.0,
    ),
    Case("lbfgs", twin=False, needs_params=True, extra=behind, low_precision=4.0),
    Case(
        "lbfgs",
        lambda m: (0.5, 3, False, m.scale_by_backtracking_linesearch(8)),
        twin=False,
        needs_params=True,
        extra=behind,
        low_precision=4.0,
    ),
]

PER_EXAMPLE = [
    Case("differentially_private_aggregate", {"l2_norm_clip": 1.0, "noise_multiplier": 0.5, "key": 7}),
    Case("dpsgd", {"learning_rate": 0.1, "l2_norm_clip": 1.0, "noise_multiplier": 0.5, "seed": 7}),
    Case(
        "dpsgd",
        {
            "learning_rate": 0.1,
            "l2_norm_clip": 0.5,
            "noise_multiplier": 1.0,
            "seed": 7,
            "momentum": 0.9,
            "nesterov": True,
        },
    ),
]
"""Rows whose gradients have the examples along a first axis of their own: see test_contrib.py."""

NAMES = set(dir(optax)) | set(dir(optax.contrib))
TWINS = [case for case in CASES if case.twin and case.name in NAMES]
OPTIMIZERS = [case for case in CASES if case.optimizer]


def ids(cases: list[Case]) -> dict[str, Any]:
    """Arguments for pytest.mark.parametrize over rows."""
    return {"argvalues": cases, "ids": [case.id for case in cases]}
