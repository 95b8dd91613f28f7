"""The mean over some seeds, and how sure it is."""

import dataclasses

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Stat:
    """Mean and standard deviation over the seeds that stayed finite; None if no seed did."""

    mean: float | None
    std: float | None
    count: int = 0  # of the seeds that stayed finite

    @classmethod
    def of(cls, values: np.ndarray) -> "Stat":
        """The finite ones among some values, one for each seed."""
        finite = np.asarray(values, np.float64)[np.isfinite(values)]
        if not len(finite):
            return cls(None, None)
        spread = float(finite.std(ddof=1)) if len(finite) > 1 else 0.0
        return cls(float(finite.mean()), spread, len(finite))

    @property
    def half_width(self) -> float | None:
        """Half the 95% confidence interval of the mean, by Student's t; None for fewer than two seeds."""
        if self.std is None or self.count < 2:
            return None
        t = float(stdtrit(self.count - 1, (1 + CONFIDENCE) / 2))
        return t * self.std / self.count**0.5
