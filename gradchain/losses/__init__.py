"""Losses: per example, in the dtype of the predictions, computed in at least float32."""

from .softmax import softmax_cross_entropy as softmax_cross_entropy
from .softmax import (
    softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
)
from .squared import l2_loss as l2_loss
from .squared import squared_error as squared_error
