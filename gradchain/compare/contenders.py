"""Who takes part: names and chains from the command line, and their learning rates."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import gradchain as gc

from ..core import GradientTransformation, GradientTransformationExtraArgs
from ..core.types import Schedule
from ..tools.parse import ParseError, parse
from .errors import CompareError
from .presets import FIELD, find_optimizer, find_preset

# Half decades from 1e-4 to 31.6. AdaDelta needs far larger rates than the others.
GRID: tuple[float, ...] = tuple(round(10 ** (k / 2), 7) for k in range(-8, 4))


@dataclasses.dataclass(frozen=True, eq=False)
class Contender:
    """An optimizer and the learning rates to try it with; None for the one it was made with."""

    name: str
    tx: GradientTransformationExtraArgs
    rates: tuple[float, ...] | None = None
    schedule: Schedule | None = None
    clip: float | None = None

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


def learning_rate(tx: Any) -> Any:
    """The learning rate of the last link that has one, or None."""
    if isinstance(tx, GradientTransformation):
        arguments = getattr(tx, "arguments", {})
        if "learning_rate" in arguments:
            return arguments["learning_rate"]
        return learning_rate(tuple(arguments.values()))
    if isinstance(tx, tuple | list):
        return next((r for r in map(learning_rate, reversed(tx)) if r is not None), None)
    return None


def with_learning_rate(tx: Any, rate: Any) -> Any:
    """The same transformation with the learning rate of its last link that has one replaced.

    Links inside wrappers are found too. None if no link has a learning rate.
    """
    if isinstance(tx, GradientTransformation):
        arguments = getattr(tx, "arguments", {})
        if "learning_rate" in arguments:
            return tx.replace(learning_rate=rate)  # type: ignore[attr-defined]
        for name, value in reversed(arguments.items()):
            if (changed := with_learning_rate(value, rate)) is not None:
                return tx.replace(**{name: changed})  # type: ignore[attr-defined]
    elif isinstance(tx, tuple | list):
        for i in reversed(range(len(tx))):
            if (changed := with_learning_rate(tx[i], rate)) is not None:
                return type(tx)((*tx[:i], changed, *tx[i + 1 :]))
    return None


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
    rate: float | None = None,
    sweep: bool = False,
    schedule: Schedule | None = None,
    clip: float | None = None,
) -> list[Contender]:
    """The contenders that the options of the command ask for."""
    settings = find_preset(preset)
    words = FIELD[preset] if optimizers is None else split_commas(optimizers)
    _check_words(words)
    chosen = []
    for word in words:
        try:
            tx = parse(word) if not word.isidentifier() else find_optimizer(word, settings)
        except ParseError as error:
            raise CompareError(f"--optimizers: {error}") from None
        rates = _rates(word, tx, rate, sweep, schedule)
        chosen.append(Contender(word, tx, rates, schedule, clip))
    return chosen


def _check_words(words: Sequence[str]) -> None:
    for i, word in enumerate(words):
        if not word:
            raise CompareError(
                "--optimizers: expected names or chains separated by commas, found nothing "
                f"{'in it' if len(words) == 1 else f'at place {i + 1}'}."
            )
        if word in words[:i]:
            raise CompareError(f"--optimizers: {word} is named twice; name it once.")


def _rates(
    word: str,
    tx: GradientTransformationExtraArgs,
    rate: float | None,
    sweep: bool,
    schedule: Schedule | None,
) -> tuple[float, ...] | None:
    """The learning rates to try, or None to leave the optimizer as it was made."""
    if rate is None and not sweep and schedule is None:
        return None
    option = "--sweep" if sweep else "--schedule" if rate is None else "--learning-rate"
    if with_learning_rate(tx, 0.1) is None:
        raise CompareError(
            f"{option} varies the learning rate, but no link of {word} has an argument "
            "learning_rate; use scale_by_learning_rate(...) in it, or leave the option out."
        )
    if sweep:
        return GRID
    own = learning_rate(tx) if rate is None else rate
    if not isinstance(own, int | float):
        raise CompareError(
            f"--schedule multiplies a learning rate, but {word} has {own!r}; "
            "give it a number, or add --learning-rate."
        )
    return (float(own),)
