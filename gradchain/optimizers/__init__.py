"""One optimizer per file: its state, its rule, the optimizer."""

from .acprop import acprop as acprop, scale_by_acprop as scale_by_acprop
from .adabelief import adabelief as adabelief, scale_by_belief as scale_by_belief
from .adabound import adabound as adabound, scale_by_adabound as scale_by_adabound
from .adadelta import (
    ScaleByAdaDeltaState as ScaleByAdaDeltaState,
    adadelta as adadelta,
    scale_by_adadelta as scale_by_adadelta,
)
from .adafactor import (
    FactoredState as FactoredState,
    adafactor as adafactor,
    scale_by_factored_rms as scale_by_factored_rms,
)
from .adagrad import ScaleByRssState as ScaleByRssState, adagrad as adagrad, scale_by_rss as scale_by_rss
from .adahessian import (
    AdaHessianState as AdaHessianState,
    adahessian as adahessian,
    scale_by_adahessian as scale_by_adahessian,
)
from .adam import adam as adam
from .adam_atan2 import adam_atan2 as adam_atan2, scale_by_adam_atan2 as scale_by_adam_atan2
from .adam_mini import adam_mini as adam_mini, scale_by_adam_mini as scale_by_adam_mini
from .adamax import adamax as adamax
from .adamaxw import adamaxw as adamaxw
from .adamp import adamp as adamp, scale_by_adamp as scale_by_adamp
from .adamuon import adamuon as adamuon
from .adamw import adamw as adamw
from .adan import ScaleByAdanState as ScaleByAdanState, adan as adan, scale_by_adan as scale_by_adan
from .ademamix import (
    ScaleByAdemamixState as ScaleByAdemamixState,
    ademamix as ademamix,
    scale_by_ademamix as scale_by_ademamix,
)
from .adopt import adopt as adopt, scale_by_adopt as scale_by_adopt
from .aggmo import ScaleByAggmoState as ScaleByAggmoState, aggmo as aggmo, scale_by_aggmo as scale_by_aggmo
from .amos import ScaleByAmosState as ScaleByAmosState, amos as amos, scale_by_amos as scale_by_amos
from .amsgrad import (
    ScaleByAmsgradState as ScaleByAmsgradState,
    amsgrad as amsgrad,
    scale_by_amsgrad as scale_by_amsgrad,
)
from .apollo import (
    ScaleByApolloState as ScaleByApolloState,
    apollo as apollo,
    scale_by_apollo as scale_by_apollo,
)
from .asgd import AsgdState as AsgdState, asgd as asgd
from .came import ScaleByCameState as ScaleByCameState, came as came, scale_by_came as scale_by_came
from .cocob import COCOBState as COCOBState, cocob as cocob, scale_by_cocob as scale_by_cocob
from .dadapt_adamw import DAdaptAdamWState as DAdaptAdamWState, dadapt_adamw as dadapt_adamw
from .dion import ScaleByDionState as ScaleByDionState, dion as dion, scale_by_dion as scale_by_dion
from .dion2 import ScaleByDion2State as ScaleByDion2State, dion2 as dion2, scale_by_dion2 as scale_by_dion2
from .distance_over_gradients import (
    ScaleByDistanceOverGradientsState as ScaleByDistanceOverGradientsState,
    scale_by_distance_over_gradients as scale_by_distance_over_gradients,
)
from .dog import DoGState as DoGState, dog as dog, scale_by_dog as scale_by_dog
from .dowg import DoWGState as DoWGState, dowg as dowg, scale_by_dowg as scale_by_dowg
from .dpsgd import (
    DifferentiallyPrivateAggregateState as DifferentiallyPrivateAggregateState,
    differentially_private_aggregate as differentially_private_aggregate,
    dpsgd as dpsgd,
)
from .fromage import fromage as fromage
from .ftrl import FtrlState as FtrlState, ftrl as ftrl
from .galore import (
    GaLoreDimensionNumbers as GaLoreDimensionNumbers,
    GaLoreState as GaLoreState,
    galore as galore,
    scale_by_galore as scale_by_galore,
)
from .grams import grams as grams, scale_by_grams as scale_by_grams
from .kl_shampoo import kl_shampoo as kl_shampoo
from .kl_soap import kl_soap as kl_soap
from .lamb import lamb as lamb
from .laprop import laprop as laprop, scale_by_laprop as scale_by_laprop
from .lars import lars as lars
from .lbfgs import ScaleByLBFGSState as ScaleByLBFGSState, lbfgs as lbfgs, scale_by_lbfgs as scale_by_lbfgs
from .lion import ScaleByLionState as ScaleByLionState, lion as lion, scale_by_lion as scale_by_lion
from .madgrad import MadgradState as MadgradState, madgrad as madgrad, scale_by_madgrad as scale_by_madgrad
from .mars import ScaleByMarsState as ScaleByMarsState, mars as mars, scale_by_mars as scale_by_mars
from .mezo import mezo as mezo
from .momo import MomoState as MomoState, momo as momo
from .momo_adam import MomoAdamState as MomoAdamState, momo_adam as momo_adam
from .muon import muon as muon
from .nadam import nadam as nadam
from .nadamw import nadamw as nadamw
from .nnls import nnls as nnls
from .noisy_sgd import noisy_sgd as noisy_sgd
from .normuon import normuon as normuon
from .novograd import (
    ScaleByNovogradState as ScaleByNovogradState,
    novograd as novograd,
    scale_by_novograd as scale_by_novograd,
)
from .optimistic_adam_v2 import optimistic_adam_v2 as optimistic_adam_v2
from .optimistic_gradient_descent import optimistic_gradient_descent as optimistic_gradient_descent
from .polyak_sgd import polyak_sgd as polyak_sgd, scale_by_polyak as scale_by_polyak
from .prodigy import ProdigyState as ProdigyState, prodigy as prodigy
from .psgd_kron import (
    ScaleByKronState as ScaleByKronState,
    psgd_kron as psgd_kron,
    scale_by_kron as scale_by_kron,
)
from .qhadam import qhadam as qhadam, scale_by_qhadam as scale_by_qhadam
from .qhm import qhm as qhm, scale_by_qhm as scale_by_qhm
from .radam import radam as radam, scale_by_radam as scale_by_radam
from .ranger import ranger as ranger
from .rmsprop import (
    ScaleByRStdDevState as ScaleByRStdDevState,
    ScaleByRStdDevWithCountState as ScaleByRStdDevWithCountState,
    rmsprop as rmsprop,
    scale_by_stddev as scale_by_stddev,
)
from .rprop import ScaleByRpropState as ScaleByRpropState, rprop as rprop, scale_by_rprop as scale_by_rprop
from .schedule_free_adamw import schedule_free_adamw as schedule_free_adamw
from .schedule_free_sgd import schedule_free_sgd as schedule_free_sgd
from .scion import scale_by_scion as scale_by_scion, scion as scion
from .sgd import sgd as sgd
from .sgdp import scale_by_sgdp as scale_by_sgdp, sgdp as sgdp
from .shampoo import (
    ScaleByShampooState as ScaleByShampooState,
    scale_by_shampoo as scale_by_shampoo,
    shampoo as shampoo,
)
from .sign_sgd import sign_sgd as sign_sgd
from .signum import signum as signum
from .simplified_ademamix import (
    ScaleBySimplifiedAdEMAMixState as ScaleBySimplifiedAdEMAMixState,
    scale_by_simplified_ademamix as scale_by_simplified_ademamix,
    simplified_ademamix as simplified_ademamix,
)
from .sm3 import ScaleBySM3State as ScaleBySM3State, scale_by_sm3 as scale_by_sm3, sm3 as sm3
from .soap import ScaleBySoapState as ScaleBySoapState, scale_by_soap as scale_by_soap, soap as soap
from .sophia import (
    HutchinsonState as HutchinsonState,
    SophiaState as SophiaState,
    hutchinson_estimator_diag_hessian as hutchinson_estimator_diag_hessian,
    scale_by_sophia as scale_by_sophia,
    sophia as sophia,
)
from .spam import scale_by_spam as scale_by_spam, spam as spam
from .spsa import spsa as spsa
from .stable_adamw import (
    ScaleByStableAdamState as ScaleByStableAdamState,
    scale_by_stable_adam as scale_by_stable_adam,
    stable_adamw as stable_adamw,
)
from .stable_spam import (
    ScaleByStableSpamState as ScaleByStableSpamState,
    scale_by_stable_spam as scale_by_stable_spam,
    stable_spam as stable_spam,
)
from .swats import ScaleBySwatsState as ScaleBySwatsState, scale_by_swats as scale_by_swats, swats as swats
from .tiger import ScaleByTigerState as ScaleByTigerState, scale_by_tiger as scale_by_tiger, tiger as tiger
from .yogi import scale_by_yogi as scale_by_yogi, yogi as yogi
