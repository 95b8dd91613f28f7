"""Losses: per example, in the dtype of the predictions, computed in at least float32."""

from .cosine import cosine_distance as cosine_distance, cosine_similarity as cosine_similarity
from .ctc import ctc_loss as ctc_loss, ctc_loss_with_forward_probs as ctc_loss_with_forward_probs
from .dice import (
    binary_dice_loss as binary_dice_loss,
    dice_loss as dice_loss,
    multiclass_generalized_dice_loss as multiclass_generalized_dice_loss,
)
from .fenchel_young import make_fenchel_young_loss as make_fenchel_young_loss
from .hinge import hinge_loss as hinge_loss, multiclass_hinge_loss as multiclass_hinge_loss
from .huber import huber_loss as huber_loss
from .integer_labels import (
    softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
)
from .kl import (
    generalized_kl_divergence as generalized_kl_divergence,
    kl_divergence as kl_divergence,
    kl_divergence_with_log_targets as kl_divergence_with_log_targets,
)
from .log_cosh import log_cosh as log_cosh
from .ntxent import ntxent as ntxent
from .perceptron import (
    multiclass_perceptron_loss as multiclass_perceptron_loss,
    perceptron_loss as perceptron_loss,
)
from .poly import poly_loss_cross_entropy as poly_loss_cross_entropy
from .ranking import ranking_softmax_loss as ranking_softmax_loss
from .sigmoid import (
    sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy,
    sigmoid_focal_loss as sigmoid_focal_loss,
)
from .smoothing import smooth_labels as smooth_labels
from .softmax import (
    safe_softmax_cross_entropy as safe_softmax_cross_entropy,
    softmax_cross_entropy as softmax_cross_entropy,
)
from .sparsemax import (
    multiclass_sparsemax_loss as multiclass_sparsemax_loss,
    sparsemax_loss as sparsemax_loss,
)
from .squared import l2_loss as l2_loss, squared_error as squared_error
from .triplet import triplet_margin_loss as triplet_margin_loss


def __getattr__(name: str) -> object:
    from ..deprecated import lookup

    return lookup(__name__, name)
