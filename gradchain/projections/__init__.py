"""Euclidean projections: the closest point of a set, for a tree taken as one long vector."""

from .box import (
    projection_box as projection_box,
    projection_hypercube as projection_hypercube,
    projection_linf_ball as projection_linf_ball,
    projection_non_negative as projection_non_negative,
)
from .l1 import (
    projection_l1_ball as projection_l1_ball,
    projection_l1_sphere as projection_l1_sphere,
    projection_simplex as projection_simplex,
)
from .l2 import projection_l2_ball as projection_l2_ball, projection_l2_sphere as projection_l2_sphere
from .linear import (
    projection_halfspace as projection_halfspace,
    projection_hyperplane as projection_hyperplane,
    projection_vector as projection_vector,
)
