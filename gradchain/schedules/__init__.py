"""Schedules: functions of the step count that remember the call that made them."""

from ..core import schedule as schedule
from ..core.types import Schedule as Schedule
from .constant import constant_schedule as constant_schedule
from .cooldown import (
    cooldown_schedule as cooldown_schedule,
    warmup_stable_decay_schedule as warmup_stable_decay_schedule,
)
from .cosine import cosine_decay_schedule as cosine_decay_schedule
from .cyclic import cyclic_schedule as cyclic_schedule
from .exponential import exponential_decay as exponential_decay
from .fraction import (
    piecewise_constant_schedule_by_fraction as piecewise_constant_schedule_by_fraction,
    piecewise_interpolate_schedule_by_fraction as piecewise_interpolate_schedule_by_fraction,
    polynomial_schedule_by_fraction as polynomial_schedule_by_fraction,
)
from .inject import (
    InjectStatefulHyperparamsState as InjectStatefulHyperparamsState,
    StatefulSchedule as StatefulSchedule,
    WrappedSchedule as WrappedSchedule,
    WrappedScheduleState as WrappedScheduleState,
    inject_hyperparams as inject_hyperparams,
)
from .inverse_sqrt import warmup_inverse_sqrt_schedule as warmup_inverse_sqrt_schedule
from .join import join_schedules as join_schedules
from .onecycle import (
    cosine_onecycle_schedule as cosine_onecycle_schedule,
    linear_onecycle_schedule as linear_onecycle_schedule,
)
from .piecewise import (
    piecewise_constant_schedule as piecewise_constant_schedule,
    piecewise_interpolate_schedule as piecewise_interpolate_schedule,
)
from .polynomial import linear_schedule as linear_schedule, polynomial_schedule as polynomial_schedule
from .power import power_schedule as power_schedule
from .proportional import proportional_schedule as proportional_schedule
from .resume import rewarmup_schedule as rewarmup_schedule
from .rex import rex_schedule as rex_schedule
from .scaled import scaled_schedule as scaled_schedule
from .sgdr import sgdr_schedule as sgdr_schedule
from .warmup import (
    warmup_constant_schedule as warmup_constant_schedule,
    warmup_cosine_decay_schedule as warmup_cosine_decay_schedule,
    warmup_exponential_decay_schedule as warmup_exponential_decay_schedule,
)


def __getattr__(name: str) -> object:
    from ..deprecated import lookup

    return lookup(__name__, name)
