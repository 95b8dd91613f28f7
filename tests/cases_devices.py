"""Rows of what communicates, for one device alone: see test_communication.py for several."""

from references import papers_devices as papers
from table import WHOLE, opt, row

import gradchain as gc

# fmt: off
CASES = [
    opt("diloco", gc.sgd(0.1, 0.5), gc.sgd(0.8, 0.1), 2, axis=None).but(
        lands=True, twin=False, whole=1e-6, long=2.0),
    row("power_sgd", 1, None, min_compression_rate=0).but(**WHOLE),
    row("power_sgd", 1, None, min_compression_rate=1, start_iter=1, error_feedback=False).but(**WHOLE),
    row("sign_majority_vote", None).but(complex=False),
    row("sign_majority_vote", None, error_feedback=True).but(complex=False),
]

VARIANTS = [
    opt("diloco", gc.sgd(0.1), gc.sgd(0.7, 0.9, nesterov=True), 3, axis=None).per(papers.diloco),
    row("power_sgd", 2, None, min_compression_rate=0).per(papers.power_sgd),
    row("sign_majority_vote", None, error_feedback=True).per(papers.ef_sign),
]
# fmt: on
