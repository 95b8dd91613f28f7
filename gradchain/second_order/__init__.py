"""Curvature without matrices: products with Hessians, Gauss-Newton and Fisher matrices, and diagonals."""

from .diagonal import diagonal as diagonal
from .empirical_fisher import (
    empirical_fisher_diagonal as empirical_fisher_diagonal,
    empirical_fisher_vector_product as empirical_fisher_vector_product,
)
from .fisher import fisher_diagonal as fisher_diagonal, fisher_vector_product as fisher_vector_product
from .gauss_newton import (
    gauss_newton_diagonal as gauss_newton_diagonal,
    gauss_newton_vector_product as gauss_newton_vector_product,
)
from .hessian import hessian_diagonal as hessian_diagonal, hessian_vector_product as hessian_vector_product
from .inverse_root import matrix_inverse_pth_root as matrix_inverse_pth_root
from .power_iteration import power_iteration as power_iteration


def __getattr__(name: str) -> object:
    from ..deprecated import lookup

    return lookup(__name__, name)
