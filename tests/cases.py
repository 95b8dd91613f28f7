"""THE TABLE: one row per public factory (and per variant worth its own row).

A row buys every law. It is a name and arguments, the same for gradchain and for its twin:
`opt("radam", LR, **ADAM, threshold=4.5)`. `per` names its paper's algorithm, with arguments that the
paper has. What a row cannot do, or does less exactly than most, stands after `but`. What can be read from
the arguments is never written. Here are Optax's factories and what belongs to them; the other files
`cases_*.py` have the rows of what Optax lacks.
"""

import importlib
from pathlib import Path

import jax
from arguments import (
    ahead,
    behind,
    by_rank,
    changing,
    constant_decay,
    curved,
    down,
    energy,
    every_other,
    faintly_curved,
    flipped,
    halve,
    halve_leaf,
    largest,
    lossy,
    loud,
    matrices_only,
    scaled_up,
    squared,
)
from references import papers, papers_of_trees
from table import (
    ACC32,
    ADAM,
    DECAY,
    FIXED,
    HALF as HALF,
    LR,
    MASK,
    MASKED,
    MEASURES,
    MU32,
    NU32,
    ROWWISE,
    RULE,
    SMALL,
    TINY,
    UNIFORM,
    WHOLE,
    Case as Case,
    find as find,
    ids as ids,
    in_dtypes as in_dtypes,
    of_optax as of_optax,
    opt,
    row,
)

import gradchain as gc

CURVED = {"extra": curved, "complex": False}

# fmt: off
CASES = [
    # Putting together
    opt("chain", gc.clip(2.0), gc.scale_by_adam(), gc.scale(-0.1)),
    row("chain", gc.clip_by_global_norm(1.0), gc.adamw(0.01)),
    row("named_chain", ("clip", gc.clip(1.0)), ("adam", gc.adam(0.01))),
    row("identity").but(checks_leaves=False),
    row("set_to_zero").but(constant=True),
    row("stateless", halve).but(checks_leaves=False),
    row("stateless_with_tree_map", halve_leaf).but(checks_leaves=False),
    row("masked", gc.adam(0.01), matrices_only),
    row("masked", gc.trace(0.9), FIXED),
    row("masked", gc.scale_by_muon(), FIXED).but(twin=False),

    # Wrappers
    row("partition", {"a": gc.adam(0.01), "b": gc.sgd(0.1, 0.9)}, by_rank),
    row("partition", {"a": gc.adamw(0.01), "b": gc.set_to_zero()}, {"w": "a", "deep": "b"}),
    row("freeze", matrices_only).but(twin=False, constant=True),
    row("freeze", FIXED),
    row("groups", {"w": gc.adam(LR), "deep/0/.*": gc.scaled_group(lr=0.5)}, gc.sgd(LR, 0.9)),
    row("groups", {"deep/0/.*": "freeze", "deep/.*": gc.scaled_group(lr=0.5)}, gc.adamw(down)),
    row("selective_transform", gc.adam(0.01), freeze_mask=FIXED),
    row("accumulate_gradients", gc.adam(0.01), 3),
    row("accumulate_gradients", gc.sgd(0.1), 2, use_grad_mean=False),
    row("accumulate_gradients", gc.adamw(0.01), 1),
    row("apply_every", 3),
    row("apply_if_finite", gc.adam(0.01), 2),
    row("conditionally_transform", gc.adam(0.01), every_other),
    row("conditionally_mask", gc.sgd(0.1, 0.9), every_other),
    row("flatten", gc.adam(0.01)).but(**WHOLE, keeps_sharding=False, checks_leaves=False, absent=False),
    opt("lookahead", gc.sgd(0.1, 0.9), 2, 0.5).but(twin=False, whole=1e-6).per(  # f = s exactly
        papers.lookahead, fast_optimizer=gc.sgd(0.1), sync_period=3),
    opt("lookahead", gc.adam(0.1), 3, 0.8, True).but(twin=False, whole=1e-6),
    row("tunable", gc.chain(gc.clip(1.0), gc.adamw(0.01))).but(twin=False),
    opt("cautious", gc.adam(0.05)),
    opt("cautious", gc.sgd(0.1, 0.9), min_share=0.5),
    row("ema_params", 0.9).but(twin=False),
    row("ema_params", 0.5, start_step=2, accumulator_dtype="float32").but(twin=False),
    row("swa_params", 1, 2).but(twin=False),
    row("with_global_norm", gc.chain(gc.clip_by_global_norm(1.0), gc.sgd(0.1))),
    row("logged", gc.chain(gc.clip_by_global_norm(1.0), gc.adamw(0.01)), 2),
    row("snapshot", "largest", largest).but(checks_leaves=False),
    row("monitor", {"size": largest, "slow": gc.measure_with_ema(largest, 0.9)}).but(**MEASURES),
    row("monitor", {"g": gc.measure_group_norms({"w": "a", "deep": "b"})}).but(**MEASURES),
    row("monitor", {"n": gc.measure_norm(), "r": gc.measure_update_ratio()}).but(**MEASURES),
    opt("split_real_and_imaginary", gc.adam(0.05)),
    opt("sam", gc.sgd(0.02, 0.9), gc.chain(gc.contrib.normalize(), gc.sgd(0.05))).but(
        whole=1e-6),  # a step goes back to the start without rounding
    opt("sam", gc.adam(0.05), gc.adam(0.01), sync_period=3, reset_state=False).but(whole=1e-6, long=3.0),
    opt("mechanize", gc.sgd(1.0)).but(start={"s_init": 1.0}).per(
        papers.mechanic, base_optimizer=gc.sgd(0.1), s_init=1e-2),
    row("mechanize", gc.adam(0.1), **DECAY, eps=1e-3, s_init=1e-2, num_betas=4).but(start={"s_init": 1.0}),

    # Links
    row("adaptive_grad_clip", 0.1, eps=0.01),
    row("keep_params_nonnegative"),
    row("zero_nans").but(checks_leaves=False),
    row("scale", -0.1),
    row("scale_by_learning_rate", 0.1),
    row("scale_by_learning_rate", down, flip_sign=False),
    row("scale_by_schedule", down),
    row("add_decayed_weights", 0.1),
    row("add_decayed_weights", down),
    row("add_decayed_weights", 0.1, matrices_only),
    row("clip", 0.5),
    row("clip_by_global_norm", 0.5),
    row("clip_by_global_norm", 50.0),
    row("clip_by_block_rms", 0.5),
    row("trace", 0.9),
    row("trace", 0.9, nesterov=True, **ACC32),
    row("ema", 0.9),
    row("ema", 0.9, debias=False, **ACC32),
    row("scale_by_trust_ratio"),
    row("scale_by_trust_ratio", min_norm=2.0, trust_coefficient=0.1, eps=0.5),
    row("scale_by_param_block_norm", 1.5),
    row("scale_by_param_block_rms", 1.1),
    row("normalize_by_update_norm"),
    row("normalize_by_update_norm", 2.0, eps=0.5),
    row("normalize"),
    row("centralize"),
    row("scale_by_sign"),
    row("add_noise", 0.1, 0.5, key=3),
    row("reduce_on_plateau").but(extra=lossy).per(
        papers.plateau, factor=0.5, patience=2, rtol=1e-2, cooldown=2),
    row("reduce_on_plateau", factor=0.5, patience=2, rtol=1e-3, atol=1e-3, cooldown=2, accumulation_size=2,
        min_scale=0.2).but(extra=lossy),

    # Rules
    row("scale_by_adam"),
    row("scale_by_adam", **RULE, nesterov=True),
    row("scale_by_adamax", b1=0.8, b2=0.95, eps=1e-3),
    row("scale_by_rss", initial_accumulator_value=0.0, eps=1e-3),
    row("scale_by_rms", decay=0.8, initial_scale=0.5),
    row("scale_by_rms", eps_in_sqrt=False, bias_correction=True),
    row("scale_by_stddev", decay=0.8, initial_scale=0.5, eps=1e-3),
    row("scale_by_stddev", bias_correction=True, eps=0.1).but(  # v - m^2 cancels
        rtol=1e-5, kinks=("decay", "initial_scale")),
    row("scale_by_adadelta", rho=0.8, eps=1e-3),
    row("scale_by_optimistic_gradient", alpha=0.5, beta=2.0),
    row("scale_by_belief", **RULE, nesterov=True),
    row("scale_by_belief", **MU32, **NU32, b2=down).but(twin=False, injects=5e-7),  # Optax: no schedules
    row("scale_by_adan", b1=0.9, b2=0.8, b3=0.95, **SMALL),
    row("scale_by_adan", b1=down, change_weight=down, **MU32).but(injects=5e-7),
    row("scale_by_amsgrad", **RULE, **MU32),
    row("scale_by_amsgrad", bias_correction_mu=False, bias_correction_nu=False, eps=0.1),
    row("scale_by_amsgrad", correct_after_max=True, **NU32),
    row("scale_by_lion", b1=0.8, b2=0.95, **MU32),
    row("scale_by_lion", mode="smooth", smooth_beta=2.0),
    row("scale_by_lion", mode="refined"),
    row("scale_by_novograd", b1=0.8, b2=0.5, eps=0.1, eps_root=0.1, **DECAY, **MU32).but(exact=1e-6),
    row("scale_by_novograd", **MASKED, **NU32),
    row("scale_by_radam", **RULE, nesterov=True).but(rtol=1e-5),  # Optax's ro cancels
    row("scale_by_radam", b2=0.9, threshold=4.5).but(rtol=1e-5),
    row("scale_by_rprop", 0.1, eta_minus=0.4, eta_plus=1.3, min_step_size=0.05, max_step_size=0.2),
    row("scale_by_sm3", 0.8, 0.9, 1e-3).but(twin=False, squares=("mu",)),  # Optax: no scalars
    row("scale_by_yogi", b1=0.8, b2=0.95, eps=1e-2, eps_root=1e-4, initial_accumulator_value=0.1).per(
        papers.yogi, eps_root=0.0, initial_accumulator_value=0.0),
    row("scale_by_polyak").but(extra=lossy),
    row("scale_by_polyak", f_min=0.7, max_learning_rate=0.05, eps=0.5, variant="sps+").but(
        extra=lossy, exact=1e-6, kinks=("f_min",)),
    row("scale_by_distance_over_gradients", reps_rel=0.1, eps=1e-3, global_scale=0.5).but(twin=False).per(
        papers.ldog, param_dtype="float64"),  # Optax's changes the shape of scalars
    row("scale_by_factored_rms", min_dim_size_to_factor=2, decay_rate=0.5, epsilon=1e-3).but(exact=1e-6),
    row("scale_by_factored_rms", factored=False, min_dim_size_to_factor=1,
        decay_rate_fn=constant_decay).but(injects=5e-7),
    row("scale_by_factored_rms", step_offset=1000, decay_rate=down).but(
        injects=None, twin=False, squares=("v", "v_row", "v_col")),
    row("scale_by_acprop", b1=0.8, b2=0.9),
    row("scale_by_ademamix", b3=down, alpha=down).but(injects=5e-7),
    row("scale_by_simplified_ademamix", alpha=down),
    row("scale_by_adopt", b2=0.75, clip_value_fn=halve),
    row("scale_by_cocob", alpha=10.0, eps=0.1).but(rtol=2e-6),
    row("scale_by_dog", init_step=("heuristic", 1e-3)),
    row("scale_by_dowg", init_estim_sq_dist=0.1),
    row("scale_by_galore", 1, 2).but(**WHOLE, exact=1e-6),
    row("scale_by_madgrad", 0.1).but(exact=1e-6),
    row("scale_by_sophia", clip_threshold=None, update_interval=2, eps=0.1).but(**CURVED),
    row("hutchinson_estimator_diag_hessian").but(constant=True, extra=faintly_curved, complex=False),

    # Line searches and L-BFGS. Optax also keeps pairs of negative curvature, as random gradients give:
    # test_linesearch.py compares on losses instead.
    row("scale_by_backtracking_linesearch", 10).but(extra=ahead, kinks=("atol",)),
    row("scale_by_backtracking_linesearch", 5, slope_rtol=0.3, decrease_factor=0.5, increase_factor=3.0,
        max_learning_rate=4.0, atol=1e-3, rtol=1e-3, store_grad=True).but(extra=ahead),
    row("scale_by_zoom_linesearch", 10).but(extra=ahead, kinks=("tol",)),
    row("scale_by_zoom_linesearch", 15, max_learning_rate=2.0, tol=1e-4, increase_factor=1.5,
        slope_rtol=1e-3, curv_rtol=0.2, approx_dec_rtol=None, stepsize_precision=1e-3,
        initial_guess_strategy="one").but(extra=ahead),
    row("scale_by_lbfgs", 4).but(twin=False),
    row("scale_by_lbfgs", 3, scale_init_precond=False).but(twin=False),
    row("lbfgs").but(twin=False, extra=behind),
    row("lbfgs", 0.5, 3, False, gc.scale_by_backtracking_linesearch(8)).but(
        twin=False, extra=behind),

    # Optimizers
    opt("sgd", 0.1),
    opt("sgd", 0.02, 0.9),
    opt("sgd", 0.02, 0.9, nesterov=True, **ACC32),
    opt("adagrad", 0.5),
    opt("adagrad", 0.5, initial_accumulator_value=0.0, eps=1e-3),
    opt("rmsprop", 0.02),
    opt("rmsprop", 0.02, decay=0.8, eps=1e-3, centered=True, initial_scale=1.0),
    opt("rmsprop", 0.01, momentum=0.5, nesterov=True, eps_in_sqrt=False),
    opt("adadelta", 1.0, rho=0.8, eps=1e-3),
    opt("adadelta", 1.0, weight_decay=0.01),
    opt("adam", LR),
    opt("adam", LR, **TINY, **MU32),
    opt("adam", down),
    opt("adamw", LR),
    opt("adamw", LR, **MASK, nesterov=True),
    opt("adamax", LR),
    opt("nadam", LR),
    opt("adabelief", LR).per(papers.adabelief),
    opt("adabelief", LR, **TINY, nesterov=True),
    opt("adafactor", LR).but(exact=1e-6, squares=("v",), kinks=("clipping_threshold",)).per(
        papers.adafactor, min_dim_size_to_factor=2),
    opt("adafactor", LR, min_dim_size_to_factor=2, decay_rate=0.5, eps=1e-3, clipping_threshold=0.8,
        multiply_by_parameter_scale=False, momentum=0.5, dtype_momentum="float32", weight_decay_rate=1e-3,
        weight_decay_mask=matrices_only).but(exact=1e-6),
    opt("adafactor", down, factored=False, clipping_threshold=None, multiply_by_parameter_scale=False,
        decay_offset=100, weight_decay=0.01),
    opt("adamaxw", LR).per(papers.adamax, **DECAY),
    opt("adamaxw", LR, b1=0.8, b2=0.9, eps=1e-3, **MASK),
    opt("adan", LR).but(squares=("n",)).per(papers.adan, eps_root=0.0, change_weight=0.92),
    opt("adan", LR, b1=0.9, b2=0.8, b3=0.95, **SMALL, **MASK),
    opt("amsgrad", LR).per(papers.amsgrad, eps=0.0, bias_correction_mu=False, bias_correction_nu=False),
    opt("amsgrad", LR, **ADAM, **MU32, bias_correction_mu=False, bias_correction_nu=False),
    opt("fromage", 0.1).but(injects=5e-7).per(papers.fromage),
    opt("fromage", down, 0.1).but(injects=5e-7),
    opt("lamb", 0.02).per(papers.lamb, **DECAY),
    opt("lamb", 0.02, **ADAM, **MASK),
    opt("lars", 2.0).per(papers.lars, learning_rate=0.1, trust_coefficient=0.01, **DECAY),
    opt("lars", 0.1, weight_decay=0.01, weight_decay_mask=matrices_only, trust_coefficient=0.1, eps=1e-3,
        trust_ratio_mask=matrices_only, momentum=0.5, nesterov=True),
    opt("lion", 0.02).per(papers.lion, **DECAY),
    opt("lion", 0.02, b1=0.8, b2=0.9, **MU32, **MASK),
    opt("lion", LR, mode="refined", weight_decay=0.0),
    opt("nadamw", LR).per(papers.nadamw, **DECAY),
    opt("nadamw", LR, **ADAM, **MU32, **MASK),
    opt("noisy_sgd", LR, key=0),
    opt("noisy_sgd", LR, eta=0.1, gamma=0.6, key=5),
    opt("novograd", 0.02).per(papers.novograd, **DECAY),
    opt("novograd", 0.02, b1=0.8, b2=0.5, **SMALL, weight_decay=0.01),
    opt("optimistic_adam_v2", LR).but(half=2.0).per(
        papers.optimistic_adam, alpha=0.8, beta=0.5, nesterov=False),  # a difference
    opt("optimistic_adam_v2", LR, alpha=0.8, beta=0.5, **ADAM, **MU32, nesterov=False),
    opt("optimistic_gradient_descent", LR),
    opt("optimistic_gradient_descent", LR, alpha=0.8, beta=0.5).per(papers.optimistic),
    opt("polyak_sgd").but(extra=lossy).per(papers.polyak, max_learning_rate=0.05, f_min=0.2),
    opt("polyak_sgd", 0.1, scaling=0.5, f_min=-0.5, eps=0.1, variant="sps+").but(extra=lossy),
    opt("radam", LR).but(rtol=1e-3).per(
        papers.radam, eps=0.0, threshold=4.0),  # in float32 Optax's ro has 2 digits
    opt("radam", LR, **ADAM, threshold=4.5, nesterov=True).but(rtol=1e-5),
    opt("rprop", LR),
    opt("rprop", LR, eta_minus=0.4, eta_plus=1.3, min_step_size=1e-3, max_step_size=0.5),
    opt("rprop", LR, delayed=False).per(papers.rprop),
    opt("sign_sgd", 0.02).per(papers.signum, **DECAY),
    opt("signum", 0.02).per(papers.signum),
    opt("signum", 0.02, beta=0.5, **ACC32),
    opt("sm3", 0.5).but(twin=False, squares=("mu",)).per(papers.sm3),  # Optax: no scalars
    opt("sm3", 0.5, momentum=0.5, weight_decay=0.01).but(squares=("mu",)),
    opt("yogi", LR),
    opt("yogi", LR, b1=0.8, b2=0.9, eps=1e-2),

    # The uniform decay, where Optax has none
    opt("adabelief", 0.02, **UNIFORM),
    opt("adamaxw", 0.02, **UNIFORM),
    opt("adan", 0.02, **UNIFORM),
    opt("amsgrad", 0.02, **UNIFORM),
    opt("lamb", 0.02, **UNIFORM),
    opt("lion", 0.02, **UNIFORM),
    opt("nadamw", 0.02, **UNIFORM),
    opt("novograd", 0.02, **UNIFORM),
    opt("optimistic_adam_v2", 0.02, **UNIFORM).but(half=2.0),
    opt("optimistic_gradient_descent", 0.02, **UNIFORM),
    opt("radam", 0.02, **UNIFORM),
    opt("sign_sgd", 0.02, **UNIFORM),
    opt("signum", 0.02, **UNIFORM),
    opt("yogi", 0.02, **UNIFORM),
    opt("noisy_sgd", 0.02, weight_decay=0.01, key=1),

    # Contrib
    opt("acprop", 0.01, weight_decay=0.0).per(papers.acprop),
    opt("acprop", 0.01, **ADAM, **DECAY),
    opt("ademamix", 0.01).per(papers_of_trees.ademamix, b3=0.99, **DECAY),
    opt("ademamix", 0.01, **ADAM, b3=0.99, alpha=2.0, **MU32, **DECAY).but(exact=1e-6),
    opt("simplified_ademamix", 0.001).per(papers.simplified_ademamix, learning_rate=0.01, alpha=2.0),
    opt("simplified_ademamix", 0.005, b1=0.9, b2=0.9, alpha=1.0, **SMALL, **DECAY),
    opt("adopt", LR).but(rtol=1e-4).per(papers_of_trees.adopt),  # Optax rounds b2 to float32 before 1 - b2
    opt("adopt", LR, b1=0.8, b2=0.9, eps=1e-2, **MU32, nesterov=True, use_clipping=False),
    # The parameters leave their start by less than float32 tells apart
    opt("cocob").but(rtol=2e-5).per(papers_of_trees.cocob),
    opt("cocob", 0.5, alpha=10.0, eps=1e-3, **DECAY).but(rtol=2e-6),
    opt("dadapt_adamw").but(start={"estim_lr0": 1e-2}).per(papers.dadapt_adam, estim_lr0=1e-2, **DECAY),
    opt("dadapt_adamw", 0.5, betas=(0.8, 0.9), eps=1e-3, estim_lr0=1e-2, **DECAY),
    opt("dog").but(start={"init_step": ("heuristic", 0.1)}, kinks=("learning_rate",), long=4.0).per(
        papers_of_trees.dog, init_step=("heuristic", 1e-3)),
    opt("dog", 0.5, init_step=("learning_rate", 0.1), eps=1e-3, **DECAY),
    opt("dog", init_step=("distance", 0.1)).but(kinks=("learning_rate",)),
    opt("dowg").but(long=2.0).per(papers_of_trees.dowg, init_estim_sq_dist=1e-2),
    opt("dowg", 0.5, init_estim_sq_dist=0.1, eps=1e-3, **DECAY),
    opt("galore", LR, rank=1).but(**WHOLE, exact=1e-6).per(
        papers.galore, rank=2, update_proj_gap=4, scale=0.5),
    opt("galore", LR, rank=1, update_proj_gap=3, scale=0.5, **DECAY).but(**WHOLE, exact=1e-6),
    row("galore", LR).but(**WHOLE, keeps_sharding=False, exact=1e-6),
    opt("madgrad", LR).but(exact=1e-6).per(papers_of_trees.madgrad),
    opt("madgrad", LR, 0.5, **DECAY, eps=1e-3).but(exact=1e-6),
    opt("madgrad", down).but(exact=1e-6),
    opt("momo", LR).but(extra=energy, cancels=True).per(papers.momo, lower_bound=0.5),
    opt("momo", LR, beta=0.8, lower_bound=0.1, **DECAY, adapt_lower_bound=True).but(
        extra=energy, rtol=1e-4, cancels=True, long=15.0),
    opt("momo_adam", LR).but(extra=energy, cancels=True).per(papers.momo_adam, lower_bound=0.5),
    opt("momo_adam", LR, b1=0.8, b2=0.9, eps=1e-3, lower_bound=0.1, **DECAY, adapt_lower_bound=True).but(
        extra=energy, cancels=True, long=10.0),
    # Newton-Schulz iterations enlarge rounding errors
    opt("muon", 0.02).but(**ROWWISE).per(papers_of_trees.muon),
    opt("muon", 0.02, ns_coeffs="dion", nesterov=False, consistent_rms=0.2, **DECAY, adam_learning_rate=LR,
        adam_weight_decay=0.1).but(**ROWWISE),
    opt("muon", 0.02, ns_steps=3, beta=0.8, eps=1e-3, adaptive=True, preconditioning="aol", **MU32,
        adam_b1=0.5, adam_b2=0.8, adam_eps_root=1e-3).but(**ROWWISE),
    opt("muon", 0.02, preconditioning="schatten").but(**ROWWISE),
    opt("muon", 0.02, preconditioning="spectral").but(**WHOLE),
    # eps is scaled by the estimate before this step, as in the paper; in Optax by the one after it
    opt("prodigy").but(start={"estim_lr0": 1e-2}, exact=1e-5, long=2.0).per(
        papers_of_trees.prodigy, estim_lr0=1e-3, weight_decay=0.01),
    opt("prodigy", 0.5, betas=(0.8, 0.9), beta3=0.9, eps=1e-4, estim_lr0=1e-2, estim_lr_coef=0.8, **DECAY,
        safeguard_warmup=True).but(exact=1e-4),
    opt("schedule_free", gc.sgd(0.1), 0.1),
    opt("schedule_free", gc.adam(0.1), 0.1, 0.8, 1.0, "float32"),
    opt("schedule_free_sgd", 0.1).but(injects=1e-5).per(
        papers_of_trees.schedule_free, learning_rate=0.2, warmup_steps=4),
    opt("schedule_free_sgd", 0.1, b1=0.8, **DECAY, weight_lr_power=1.0).but(injects=1e-5),
    opt("schedule_free_adamw", LR).but(rtol=1e-5, injects=1e-5).per(
        papers.schedule_free_adam, warmup_steps=3, **DECAY),
    opt("schedule_free_adamw", LR, b1=0.8, b2=0.9, eps=1e-3, **DECAY, weight_lr_power=1.0,
        warmup_steps=5).but(twin=False, injects=1e-5),  # Optax weighs a step by the next rate
    opt("sophia", 0.02).but(**CURVED).per(papers_of_trees.sophia, gamma=0.5, update_interval=3, **DECAY),
    opt("sophia", 0.02, b1=0.8, b2=0.9, eps=1e-3, gamma=0.5, clip_threshold=0.3, update_interval=3, **MU32,
        **DECAY).but(**CURVED),
]

PER_EXAMPLE = [
    row("differentially_private_aggregate", 1.0, 0.5, key=7),
    row("dpsgd", 0.1, 1.0, 0.5, seed=7),
    row("dpsgd", 0.1, 0.5, 1.0, seed=7, momentum=0.9, nesterov=True),
]
"""Rows whose gradients have the examples along a first axis of their own: see test_contrib.py."""

VARIANTS = [
    opt("adafactor", LR, min_dim_size_to_factor=2, decay_offset=1000).but(twin=False).per(papers.adafactor),
    row("acprop", LR, **MASK),
    row("adadelta", LR, **MASKED),
    row("adam", LR, nesterov=True),
    row("adamax", LR, b1=0.8, b2=0.95, eps=1e-3),
    row("adamw", LR, **RULE, **MU32),
    row("adaptive_grad_clip", 0.1, axis=()),
    row("add_noise", 0.1, 0.5, seed=3),
    row("ademamix", LR, **MASK),
    row("adopt", LR, clip_value_fn=scaled_up).but(rtol=1e-4),
    row("cocob", **MASK).but(rtol=2e-5),
    row("conditionally_mask", gc.sgd(0.1, 0.9), loud, True).but(extra=changing),
    row("conditionally_transform", gc.sgd(0.1, 0.9), loud, True).but(extra=changing),
    row("dog", LR, **MASK),
    row("dowg", LR, **MASK),
    row("galore", LR, rank=1, **MASK).but(exact=1e-6),
    row("galore", LR, 1, 3, 0.5, gc.scale_by_rms(), weight_dimension_numbers=flipped).but(exact=1e-6),
    row("hutchinson_estimator_diag_hessian", jax.random.PRNGKey(7)).but(extra=faintly_curved),
    row("muon", LR, **MASKED),
    row("nadam", LR, **RULE, **MU32, nesterov=False),
    row("nadamw", LR, nesterov=False),
    row("noisy_sgd", LR, seed=3),
    row("rmsprop", LR, bias_correction=True),
    row("scale_by_acprop", b1=0.8, **SMALL),
    row("scale_by_adam", **MU32),
    row("scale_by_ademamix", **RULE, **MU32).but(exact=1e-6),
    row("scale_by_adopt", b1=0.8, b2=0.9, eps=1e-3, **MU32, nesterov=True),
    row("scale_by_adopt", b2=0.9, use_clipping=False),
    row("scale_by_adopt", b2=0.9, clip_value_fn=scaled_up),
    row("scale_by_galore", 1, 3, 0.5, gc.scale_by_rms(), flipped).but(exact=1e-6),
    row("scale_by_madgrad", 0.1, 0.5, eps=1e-3).but(exact=1e-6),
    row("scale_by_rms", eps=1e-3),
    row("scale_by_simplified_ademamix", **ADAM),
    row("scale_by_stddev", eps_in_sqrt=False, eps=0.1),
    row("schedule_free_adamw", LR, state_dtype="float32").but(rtol=1e-5),
    row("schedule_free_sgd", LR, state_dtype="float32"),
    row("simplified_ademamix", LR, **MASK),
    row("sophia", LR, **MASKED).but(extra=curved),
    row("sophia", LR, hessian_diagonal_fn=gc.stateless(squared), **MU32).but(extra=curved),
]
# fmt: on
"""Arguments that no other row sets: rows that buy parity alone, with Optax or with a paper."""

FIELD = [importlib.import_module(path.stem) for path in sorted(Path(__file__).parent.glob("cases_*.py"))]
"""The files of rows that Optax lacks."""

CASES += [case for file in FIELD for case in file.CASES]
VARIANTS += [case for file in FIELD for case in getattr(file, "VARIANTS", [])]
FIRST = {case.name: case for case in reversed(CASES)}
TYPICAL = [case for case in CASES if case.wraps or case is FIRST[case.name]]
"""One row of each factory, and every row that wraps: for dear laws on which options have no bearing."""
TWINS = [case for case in CASES if case.has_twin]
OPTIMIZERS = [case for case in CASES if case.optimizer]
