"""gradchain: composable gradient transformations for JAX."""

from .core import *
from .transforms import *
from .optimizers import *
