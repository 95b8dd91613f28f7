"""The exact solution of linear regression, which the optimizers can be measured against."""

from typing import Any

import numpy as np

from .data import Split


def distance_to_least_squares(params: Any, train: Split) -> np.ndarray:
    """How far linear models are from the least-squares solution, for each run.

    The root mean square, over the training examples, of the difference between the model's
    predictions and the exact solution's, in standard deviations of the target. Its square is how far
    the training loss is above its minimum.

    Args:
      params: of `models.Linear`, with axes for learning rates and seeds in front.
      train: the training examples.

    Returns:
      f64[rates, seeds]
    """
    inputs, targets = train.inputs.astype(np.float64), train.targets.astype(np.float64)
    with_one = np.column_stack([inputs, np.ones(len(inputs))])
    exact = with_one @ np.linalg.lstsq(with_one, targets, rcond=None)[0]
    kernel = params["Dense_0"]["kernel"].astype(np.float64)[..., 0]
    bias = params["Dense_0"]["bias"].astype(np.float64)
    with np.errstate(all="ignore"):  # diverged runs are infinitely far
        return np.sqrt(np.mean((kernel @ inputs.T + bias - exact) ** 2, -1))
