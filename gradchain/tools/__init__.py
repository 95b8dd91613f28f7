"""What takes a finished transformation."""

from .eval_params import eval_params as eval_params
from .measurements import measurements as measurements
from .parse import parse as parse
from .plot_schedule import plot_schedule as plot_schedule
