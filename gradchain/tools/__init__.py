"""What takes a finished transformation."""

from .cite import cite as cite
from .describe import Description as Description, describe as describe
from .eval_params import eval_params as eval_params
from .hyperparams import hyperparams as hyperparams, learning_rate as learning_rate
from .logged import LoggedState as LoggedState, logged as logged
from .measurements import measurements as measurements
from .memory import Memory as Memory, memory as memory
from .minimize import MinimizeResult as MinimizeResult, minimize as minimize
from .parse import parse as parse
from .plot_log import plot_log as plot_log
from .plot_schedule import plot_schedule as plot_schedule
from .posthoc_ema import (
    EmaSnapshot as EmaSnapshot,
    ema_snapshots as ema_snapshots,
    posthoc_ema as posthoc_ema,
)
from .reset import reset as reset
from .saving.checkpoints import load as load, load_dict as load_dict, save as save
from .saving.config import from_config as from_config, to_config as to_config
from .saving.config_values import ConfigError as ConfigError
from .saving.document import CheckpointError as CheckpointError
from .saving.migration import Migration as Migration, migrate_state as migrate_state
from .saving.pytorch import from_pytorch as from_pytorch
from .saving.state_dict import state_from_dict as state_from_dict, state_to_dict as state_to_dict
from .set_hyperparams import set_hyperparams as set_hyperparams
from .step import StepInfo as StepInfo, make_step as make_step
from .steps import set_step as set_step, step_count as step_count
from .sweeping.distributions import Uniform as Uniform, log_uniform as log_uniform, uniform as uniform
from .sweeping.find_learning_rate import (
    LearningRates as LearningRates,
    find_learning_rate as find_learning_rate,
)
from .sweeping.sweep import random_search as random_search, sweep as sweep
from .sweeping.table import Sweep as Sweep
from .xla_flags import use_xla_flags as use_xla_flags, xla_flags as xla_flags
