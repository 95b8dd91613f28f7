"""What takes a finished transformation."""

from .eval_params import eval_params as eval_params
from .hyperparams import hyperparams as hyperparams, learning_rate as learning_rate
from .logged import LoggedState as LoggedState, logged as logged
from .measurements import measurements as measurements
from .memory import Memory as Memory, memory as memory
from .minimize import MinimizeResult as MinimizeResult, minimize as minimize
from .parse import parse as parse
from .plot_log import plot_log as plot_log
from .plot_schedule import plot_schedule as plot_schedule
from .step import StepInfo as StepInfo, make_step as make_step
from .xla_flags import use_xla_flags as use_xla_flags, xla_flags as xla_flags
