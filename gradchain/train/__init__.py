"""Training that survives: a loop that saves what it needs to go on."""

from ..tools.saving.document import CheckpointError as CheckpointError
from .checkpoints import SaveError as SaveError
from .fit import FitResult as FitResult, fit as fit
from .joining import join_processes as join_processes
from .preemption import Preempted as Preempted
