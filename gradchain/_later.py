"""The rest of the flat namespace: imported when one of these names is first asked for.

Most programs need transformations and schedules, which `__init__` imports at once.
"""

from .assignment import (
    base_hungarian_algorithm as base_hungarian_algorithm,
    hungarian_algorithm as hungarian_algorithm,
)
from .losses import (
    binary_dice_loss as binary_dice_loss,
    cosine_distance as cosine_distance,
    cosine_similarity as cosine_similarity,
    ctc_loss as ctc_loss,
    ctc_loss_with_forward_probs as ctc_loss_with_forward_probs,
    dice_loss as dice_loss,
    generalized_kl_divergence as generalized_kl_divergence,
    hinge_loss as hinge_loss,
    huber_loss as huber_loss,
    kl_divergence as kl_divergence,
    kl_divergence_with_log_targets as kl_divergence_with_log_targets,
    l2_loss as l2_loss,
    log_cosh as log_cosh,
    make_fenchel_young_loss as make_fenchel_young_loss,
    multiclass_generalized_dice_loss as multiclass_generalized_dice_loss,
    multiclass_hinge_loss as multiclass_hinge_loss,
    multiclass_perceptron_loss as multiclass_perceptron_loss,
    multiclass_sparsemax_loss as multiclass_sparsemax_loss,
    ntxent as ntxent,
    perceptron_loss as perceptron_loss,
    poly_loss_cross_entropy as poly_loss_cross_entropy,
    ranking_softmax_loss as ranking_softmax_loss,
    safe_softmax_cross_entropy as safe_softmax_cross_entropy,
    sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy,
    sigmoid_focal_loss as sigmoid_focal_loss,
    smooth_labels as smooth_labels,
    softmax_cross_entropy as softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
    sparsemax_loss as sparsemax_loss,
    squared_error as squared_error,
    triplet_margin_loss as triplet_margin_loss,
)
from .microbatching import micro_grad as micro_grad, micro_vmap as micro_vmap, microbatch as microbatch
from .perturbations import make_perturbed_fun as make_perturbed_fun, multi_normal as multi_normal
from .projections import (
    projection_box as projection_box,
    projection_halfspace as projection_halfspace,
    projection_hypercube as projection_hypercube,
    projection_hyperplane as projection_hyperplane,
    projection_l1_ball as projection_l1_ball,
    projection_l1_sphere as projection_l1_sphere,
    projection_l2_ball as projection_l2_ball,
    projection_l2_sphere as projection_l2_sphere,
    projection_linf_ball as projection_linf_ball,
    projection_non_negative as projection_non_negative,
    projection_simplex as projection_simplex,
    projection_vector as projection_vector,
)
from .second_order import (
    diagonal as diagonal,
    empirical_fisher_diagonal as empirical_fisher_diagonal,
    empirical_fisher_vector_product as empirical_fisher_vector_product,
    fisher_diagonal as fisher_diagonal,
    fisher_vector_product as fisher_vector_product,
    gauss_newton_diagonal as gauss_newton_diagonal,
    gauss_newton_vector_product as gauss_newton_vector_product,
    hessian_diagonal as hessian_diagonal,
    hessian_vector_product as hessian_vector_product,
    matrix_inverse_pth_root as matrix_inverse_pth_root,
    power_iteration as power_iteration,
)
from .tools import (
    eval_params as eval_params,
    hyperparams as hyperparams,
    learning_rate as learning_rate,
    logged as logged,
    make_step as make_step,
    measurements as measurements,
    memory as memory,
    minimize as minimize,
    plot_log as plot_log,
    use_xla_flags as use_xla_flags,
    xla_flags as xla_flags,
)

# isort: split
# Last: the lines above have imported most of these folders.
from . import (
    aggregation as aggregation,
    assignment as assignment,
    experimental as experimental,
    losses as losses,
    microbatching as microbatching,
    perturbations as perturbations,
    projections as projections,
    second_order as second_order,
    tools as tools,
)
