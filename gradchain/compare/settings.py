"""What the options of the command ask for."""

import dataclasses
from pathlib import Path

from ..core import nearest
from .contenders import Rates
from .errors import CompareError
from .presets import FIXED


@dataclasses.dataclass(frozen=True)
class Settings:
    """The options of the command. None: the task's own value, or no such thing."""

    task: str = "digits"
    optimizers: str | None = None
    epochs: int | None = None
    batch_size: int | str | None = None
    seeds: int | None = None
    preset: str = "defaults"
    rates: str | None = None
    learning_rate: float | None = None
    sweep: bool = False
    schedule: str | None = None
    clip: float | None = None
    data: Path | None = None
    out: Path = Path("gradchain-out")

    @property
    def tuning(self) -> Rates:
        """Whether each optimizer has its best learning rate, or the one it was made with.

        The presets of other libraries are known for their rates, so these are kept unless others are
        asked for.

        Raises:
          CompareError: for options that contradict each other.
        """
        if self.rates not in (None, "best", "default"):
            raise CompareError(
                f"--rates: expected best or default, received {self.rates}."
                + nearest(self.rates, ["best", "default"])
            )
        if self.sweep and self.rates == "default":
            raise CompareError("--sweep means --rates best; leave --sweep or --rates default out.")
        if self.learning_rate is not None and (self.sweep or self.rates):
            said = f"--rates {self.rates}" if self.rates else "--sweep"
            does = "leaves each optimizer its own rate" if self.rates == "default" else "tries many rates"
            raise CompareError(f"{said} {does}; leave --learning-rate out, which gives all the same.")
        if self.rates == "best" or self.sweep:
            return "best"
        fixed = self.rates or self.learning_rate is not None or self.preset in FIXED
        return "default" if fixed else "best"
