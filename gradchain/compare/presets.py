"""The classic optimizers with three sets of well-known settings."""

import inspect
from collections.abc import Mapping

import gradchain as gc

from ..core import GradientTransformationExtraArgs
from ..tools.makers import makers
from .errors import unknown

Contenders = Mapping[str, GradientTransformationExtraArgs]

# The settings of the papers. Where a paper names no learning rate, it is the customary one.
DEFAULTS: Contenders = {
    "sgd": gc.sgd(0.1),
    "momentum": gc.sgd(0.03, momentum=0.9),
    "nesterov": gc.sgd(0.03, momentum=0.9, nesterov=True),
    "adagrad": gc.adagrad(0.1, initial_accumulator_value=0.0),
    "rmsprop": gc.rmsprop(0.001),
    "adadelta": gc.adadelta(1.0, rho=0.95),
    "adam": gc.adam(0.001),
    "adamw": gc.adamw(0.001),
    "adamax": gc.adamax(0.002),
    "nadam": gc.nadam(0.002),
}

# The defaults of Keras's optimizers. The well-known tutorial comparisons are made with them.
KERAS: Contenders = {
    "sgd": gc.sgd(0.01),
    "adagrad": gc.adagrad(0.001, initial_accumulator_value=0.1, eps=1e-7),
    "adadelta": gc.adadelta(0.001, rho=0.95, eps=1e-7),
    "rmsprop": gc.rmsprop(0.001, decay=0.9, eps=1e-7),
    "adam": gc.adam(0.001, eps=1e-7),
    "momentum": gc.sgd(0.01, momentum=0.9),
    "nesterov": gc.sgd(0.01, momentum=0.9, nesterov=True),
    "adamw": gc.adamw(0.001, eps=1e-7, weight_decay=0.004),
    "adamax": gc.adamax(0.001, eps=1e-7),
    "nadam": gc.nadam(0.001, eps=1e-7),
}

# The defaults of torch.optim. Its momentum has none; 0.9 is customary.
TORCH: Contenders = {
    "sgd": gc.sgd(0.001),
    "momentum": gc.sgd(0.001, momentum=0.9),
    "nesterov": gc.sgd(0.001, momentum=0.9, nesterov=True),
    "adagrad": gc.adagrad(0.01, initial_accumulator_value=0.0, eps=1e-10),
    "rmsprop": gc.rmsprop(0.01, decay=0.99, eps=1e-8, eps_in_sqrt=False),
    "adadelta": gc.adadelta(1.0, rho=0.9, eps=1e-6),
    "adam": gc.adam(0.001),
    "adamw": gc.adamw(0.001, weight_decay=0.01),
    "adamax": gc.adamax(0.002),
    "nadam": gc.nadam(0.002),
}

PRESETS: Mapping[str, Contenders] = {"defaults": DEFAULTS, "keras": KERAS, "torch": TORCH}

FIXED = ("keras", "torch")
"""Presets that are known for their learning rates: these are kept unless --rates best asks for others."""

# Who takes part when nobody is named: with Keras's settings, the five of the tutorials.
FIELD: Mapping[str, tuple[str, ...]] = {
    "defaults": tuple(DEFAULTS),
    "keras": ("sgd", "adagrad", "adadelta", "rmsprop", "adam"),
    "torch": tuple(TORCH),
}

CUSTOMARY_LEARNING_RATE = 0.001
"""For an optimizer that is named alone, is in no preset, and has no learning rate of its own."""

# Those whose factories need more than a learning rate, or need none.
SPECIAL: Contenders = {
    "adafactor": gc.adafactor(1.0),  # what None means
    "dpsgd": gc.contrib.dpsgd(0.1, l2_norm_clip=1.0, noise_multiplier=0.5, seed=0),
    "polyak_sgd": gc.polyak_sgd(),
}


def find_preset(name: str) -> Contenders:
    """The preset of this name."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]


def others() -> list[str]:
    """The public optimizers that are in no preset."""
    names = [n for n in makers(gc) if n not in DEFAULTS and not n.startswith("scale_by_")]
    return sorted({*SPECIAL, *(n for n in names if _first_parameter(n) == "learning_rate")})


def has_own_rate(name: str) -> bool:
    """Whether the learning rate of an optimizer named alone is its preset's or its factory's own."""
    if name in DEFAULTS or name in SPECIAL:
        return name != "dpsgd"
    return not name.isidentifier() or _has_default(name)


def _first_parameter(name: str) -> str | None:
    return next(iter(inspect.signature(getattr(gc, name)).parameters), None)


def _has_default(name: str) -> bool:
    rate = inspect.signature(getattr(gc, name)).parameters["learning_rate"]
    return rate.default is not rate.empty


def find_optimizer(name: str, preset: Contenders) -> GradientTransformationExtraArgs:
    """The optimizer of this name: the preset's, else the public one, at a customary rate if it has none."""
    found = preset.get(name) or SPECIAL.get(name)
    if found is not None:
        return found
    further = others()
    if name not in further:
        raise unknown("optimizer", name, [*preset, *further])
    factory = getattr(gc, name)
    return factory() if _has_default(name) else factory(CUSTOMARY_LEARNING_RATE)
