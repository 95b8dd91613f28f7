"""The optimizers and what is tried with each: rates around its own scale, and weight decays."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

import gradchain as gc
from gradchain.core.types import Schedule

from .workloads import Workload

RATES = tuple(10 ** (k / 2) for k in range(-3, 4))
"""Half decades around the middle rate."""
DECAYS = (0.0, 5e-4, 5e-3)
"""Share of a weight that one step at the middle rate takes away: weight decay times learning rate."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """An optimizer by its rate (a schedule), its weight decay, and a workload."""

    name: str
    make: Callable[[Any, Any, Workload], Any]  # from a schedule, a number, and a workload
    middle: float  # the middle of the rates
    note: str = ""
    rates: tuple[float, ...] = RATES  # times the middle
    decays: tuple[float, ...] = DECAYS  # over the middle
    scheduled: bool = True  # False: warmup alone, then a constant rate
    side_by_side: bool = True  # False: one run after another, for what `vmap` would compute in every step

    def first(self) -> list[tuple[float, float]]:
        """The first trials, (rate, decay): every rate at the middle decay; of one rate, every decay."""
        decays = self.decays if len(self.rates) == 1 else self.decays[1:2]
        return [(r * self.middle, d / self.middle) for r in self.rates for d in decays]

    def second(self, best: float) -> list[tuple[float, float]]:
        """The trials around the best rate of the first: it and its neighbours at the other decays."""
        if len(self.rates) == 1:
            return []
        around = (best / 10**0.5, best, best * 10**0.5)
        return [(r, d / self.middle) for d in (self.decays[0], self.decays[2]) for r in around]


def factor(steps: int, scheduled: bool = True) -> Schedule:
    """What the rate is multiplied by: warmup over a twentieth of the steps, then a half cosine to zero."""
    warmup = max(1, steps // 20)
    if not scheduled:
        return gc.linear_schedule(1 / warmup, 1.0, warmup)
    return gc.warmup_cosine_decay_schedule(1 / warmup, 1.0, warmup, steps)


def matrices(workload: Workload) -> Any:
    """Which parameters matrix optimizers take, and how: neither embeddings nor the output layer."""
    return gc.matrix_dimension_numbers("flax", exclude=rf"embedding|places|{workload.head}")


def _on_sphere(workload: Workload) -> Callable[[Any], Any]:
    def mask(params: Any) -> Any:
        def keeps(path: Any, leaf: Any) -> bool:
            name = jax.tree_util.keystr(path)
            return leaf.ndim >= 2 and not any(w in name for w in ("embedding", "places", workload.head))

        return jax.tree_util.tree_map_with_path(keeps, params)

    return mask


def _muon(rate: Any, decay: Any, workload: Workload) -> Any:
    return gc.muon(
        rate,
        weight_decay=decay,
        adam_weight_decay=decay,
        scaling="match_rms_adamw",
        muon_weight_dimension_numbers=matrices(workload),
    )


def _normuon(rate: Any, decay: Any, workload: Workload) -> Any:
    return gc.normuon(
        rate,
        weight_decay=decay,
        adam_weight_decay=decay,
        adam_learning_rate=rate,
        scaling="match_rms_adamw",
        weight_dimension_numbers=matrices(workload),
    )


def _hyperball(rate: Any, decay: Any, workload: Workload) -> Any:
    """Adam's direction on the sphere; what has the place of the decay is the angle over Adam's rate."""
    return gc.hyperball(gc.adam(rate), lambda count: decay * rate(count), _on_sphere(workload))


CONTENDERS: dict[str, Contender] = {
    c.name: c
    for c in (
        Contender("adamw", lambda r, d, w: gc.adamw(r, weight_decay=d), 1e-2),
        Contender(
            "sgd",
            lambda r, d, w: gc.sgd(r, momentum=0.9, nesterov=True, weight_decay=d),
            3e-1,
            "momentum 0.9, Nesterov",
        ),
        Contender("lion", lambda r, d, w: gc.lion(r, weight_decay=d), 3e-3),
        Contender("adopt", lambda r, d, w: gc.adopt(r, weight_decay=d), 1e-2),
        Contender(
            "ademamix",
            lambda r, d, w: gc.ademamix(r, b3=0.99, weight_decay=d),
            1e-2,
            "b3 = 0.99: the default 0.9999 remembers 10,000 steps",
        ),
        Contender("mars", lambda r, d, w: gc.mars(r, weight_decay=d, adam_weight_decay=d), 1e-2),
        Contender(
            "prodigy",
            lambda r, d, w: gc.prodigy(r, weight_decay=d),
            1.0,
            "no rate to tune: the decays alone",
            rates=(1.0,),
        ),
        Contender(
            "schedule_free_adamw",
            lambda r, d, w: gc.schedule_free_adamw(r, weight_decay=d),
            3e-2,
            "warmup, then a constant rate",
            scheduled=False,
        ),
        Contender("muon", _muon, 1e-2, "AdamW on vectors, embeddings and the output layer, at one rate"),
        Contender("normuon", _normuon, 1e-2, "as muon"),
        Contender(
            "hyperball",
            _hyperball,
            1e-2,
            "of Adam, on the matrices that muon takes; in place of a decay, the angle over Adam's rate",
            decays=(0.02, 0.05, 0.15),
        ),
        Contender(
            "soap",
            lambda r, d, w: gc.soap(r, weight_decay=d),
            1e-2,
            "a new basis every 10 steps",
            side_by_side=False,
        ),
        Contender(
            "shampoo",
            lambda r, d, w: gc.shampoo(
                r, b2=0.99, weight_decay=d, precondition_frequency=10, merge_dims=False, graft="adam"
            ),
            1e-2,
            "Adam's graft, axes not merged, b2 = 0.99, new roots every 10 steps",
            side_by_side=False,
        ),
        Contender("psgd_kron", lambda r, d, w: gc.psgd_kron(r, weight_decay=d), 3e-3),
    )
}
