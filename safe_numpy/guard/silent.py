"""The error for a conversion that works and should not, unless the code base has accepted it."""

from __future__ import annotations

from safe_numpy.errors.pages import make_silent_error
from safe_numpy.guard.failure import Failure
from safe_numpy.guard.outcome import Outcome
from safe_numpy.ledger.baseline import Baseline
from safe_numpy.messages import phrases as _wording


class _Acceptance:
    """The hazards that strict mode is to let pass."""

    baseline: Baseline | None = None


acceptance = _Acceptance()


def make_unless_accepted(failure: Failure, call: str) -> Outcome | None:
    """Return an outcome with the error for a conversion that worked, unless the baseline accepts it."""
    baseline = acceptance.baseline
    if baseline is not None and baseline.accepts(failure.site, [p.cause for p in failure.plan.problems]):
        return None
    original = ValueError(_wording.say_silent(failure.plan.problems[0].kind, call))
    return Outcome(error=make_silent_error(original, failure._replace(is_silent=True).diagnose, failure.site))
