"""Who takes part: names and chains from the command line, and the learning rates to try each with."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import gradchain as gc

from ..core import GradientTransformationExtraArgs, parts
from ..core.types import Schedule
from ..tools.parse import ParseError, parse
from ..tools.xla_flags import searches
from .errors import CompareError
from .presets import FIELD, find_optimizer, find_preset, has_own_rate
from .rates import GRID, learning_rate, with_learning_rate

Rates = Literal["best", "default"]


@dataclasses.dataclass(frozen=True, eq=False)
class Contender:
    """An optimizer and the learning rates to try it with; None for the one it was made with."""

    name: str
    tx: GradientTransformationExtraArgs
    rates: tuple[float, ...] | None = None  # one of these is chosen
    schedule: Schedule | None = None
    clip: float | None = None
    beside: float | None = None  # the rate it was made with, tried as well and never chosen

    @property
    def tried(self) -> tuple[float | None, ...]:
        """All learning rates that it is trained with, those to choose from first."""
        if self.rates is None:
            return (None,)
        return self.rates if self.beside in (None, *self.rates) else (*self.rates, self.beside)

    @property
    def per_example(self) -> bool:
        """Whether its gradients have an axis of examples, as differential privacy needs."""
        private = (gc.contrib.dpsgd, gc.contrib.differentially_private_aggregate)
        return any(part.pair.factory in private for part in parts(self.tx))

    def at(self, rate: Any) -> GradientTransformationExtraArgs:
        """The optimizer at a learning rate, which may be traced."""
        tx = self.tx
        if self.rates is not None:
            tx = with_learning_rate(tx, _scaled(self.schedule, rate) if self.schedule else rate)
            assert tx is not None  # `choose` made sure of that
        return tx if self.clip is None else gc.chain(gc.clip_by_global_norm(self.clip), tx)

    def code(self, rate: float | None) -> str:
        """The code of the optimizer at a learning rate, before any schedule."""
        return repr(dataclasses.replace(self, schedule=None).at(rate))


def _scaled(schedule: Schedule, rate: Any) -> Schedule:
    return lambda count: rate * schedule(count)


def split_commas(text: str) -> list[str]:
    """Splits at the commas that are in no bracket and no quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        if character == "," and depth <= 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def choose(
    optimizers: str | None,
    preset: str,
    *,
    rates: Rates = "default",
    rate: float | None = None,
    schedule: Schedule | None = None,
    clip: float | None = None,
) -> list[Contender]:
    """The contenders that the options of the command ask for.

    Args:
      optimizers: names and chains, separated by commas; None for all of the preset's.
      preset: whose learning rates and constants.
      rates: "best" tries each with every rate of the grid, "default" leaves each the rate it has.
      rate: one learning rate for all, in place of `rates`.
      schedule: what the learning rate is multiplied by.
      clip: the global norm that gradients are clipped to.
    """
    settings = find_preset(preset)
    words = FIELD[preset] if optimizers is None else split_commas(optimizers)
    _check_words(words)
    chosen = []
    for word in words:
        try:
            tx = parse(word) if not word.isidentifier() else find_optimizer(word, settings)
        except ParseError as error:
            raise CompareError(f"--optimizers: {error}") from None
        if rates == "best" and rate is None and can_vary(tx):
            own = learning_rate(tx)
            beside = float(own) if isinstance(own, int | float) and has_own_rate(word) else None
            chosen.append(Contender(word, tx, GRID, schedule, clip, beside))
        else:
            chosen.append(Contender(word, tx, _given(word, tx, rate, schedule), schedule, clip))
    return chosen


def can_vary(tx: GradientTransformationExtraArgs) -> bool:
    """Whether there is a learning rate to choose: no schedule, and not left to a line search."""
    if with_learning_rate(tx, 0.1) is None or callable(learning_rate(tx)):
        return False
    return learning_rate(tx) is not None or not searches(tx)


def _check_words(words: Sequence[str]) -> None:
    for i, word in enumerate(words):
        if not word:
            raise CompareError(
                "--optimizers: expected names or chains separated by commas, found nothing "
                f"{'in it' if len(words) == 1 else f'at place {i + 1}'}."
            )
        if word in words[:i]:
            raise CompareError(f"--optimizers: {word} is named twice; name it once.")


def _given(
    word: str, tx: GradientTransformationExtraArgs, rate: float | None, schedule: Schedule | None
) -> tuple[float, ...] | None:
    """The one learning rate that the options ask for, or None to leave the optimizer as it was made."""
    if rate is None and schedule is None:
        return None
    if with_learning_rate(tx, 0.1) is None:
        option = "--schedule" if rate is None else "--learning-rate"
        raise CompareError(
            f"{option} varies the learning rate, but no link of {word} has an argument "
            "learning_rate; use scale_by_learning_rate(...) in it, or leave the option out."
        )
    own = learning_rate(tx) if rate is None else rate
    if not isinstance(own, int | float):
        raise CompareError(
            f"--schedule multiplies a learning rate, but {word} has {own!r}; "
            "give it a number, or add --learning-rate."
        )
    return (float(own),)
