"""One optimizer per file: its state, its rule, the optimizer."""

from .adadelta import ScaleByAdaDeltaState as ScaleByAdaDeltaState
from .adadelta import adadelta as adadelta
from .adadelta import scale_by_adadelta as scale_by_adadelta
from .adagrad import ScaleByRssState as ScaleByRssState
from .adagrad import adagrad as adagrad
from .adagrad import scale_by_rss as scale_by_rss
from .adam import adam as adam
from .adamax import adamax as adamax
from .adamw import adamw as adamw
from .nadam import nadam as nadam
from .rmsprop import ScaleByRmsState as ScaleByRmsState
from .rmsprop import ScaleByRmsWithCountState as ScaleByRmsWithCountState
from .rmsprop import ScaleByRStdDevState as ScaleByRStdDevState
from .rmsprop import ScaleByRStdDevWithCountState as ScaleByRStdDevWithCountState
from .rmsprop import rmsprop as rmsprop
from .rmsprop import scale_by_rms as scale_by_rms
from .rmsprop import scale_by_stddev as scale_by_stddev
from .sgd import sgd as sgd
