"""The sentence under the table: what to use."""

import math

from ..rows import Benchmark, Row
from ..statistics import Estimate

MIN_SEEDS = 5  # of a trained policy, for an interval that says how training varies
MIN_PROBLEMS = 20  # below, a percentile bootstrap covers clearly less than it says
MIN_CONSTANTS = 10  # a choice of fewer is no search
_ADD_CONSTANTS = "add constant:20 to --policies"


def verdict(benchmark: Benchmark) -> str | None:
    """One sentence that says what to use, or None where nothing was compared.

    The best trained policy is judged by its interval against the reference; without a trained one,
    the best rule that reacts to what it observes. A rule is also named where it does what the
    trained policy does not: beat the reference, or beat it by more. Nothing trained is recommended
    before it has met the best of several constants.
    """
    words = benchmark.words
    reactive = [row for row in benchmark.rows if row.reactive]
    reference = next((row for row in benchmark.rows if row.label == benchmark.reference), None)
    if len(benchmark.rows) < 2:
        return None
    if reference is None:
        without = f"Every {words.entrant} here {words.reads}: for a verdict, {words.add_reference}."
        return without if reactive else None
    if not reactive:
        return (
            f"No {words.entrant} here {words.reads}: use {_name(reference)}, "
            f"which did best {words.winner.format(noun=benchmark.noun)}."
        )
    if len(benchmark.instances) < 2:
        return words.single

    trained = [row for row in reactive if row.trained]
    rules = [row for row in reactive if not row.trained]
    field = trained or rules
    best = field[0]  # the rows come best mean first
    direction = _direction(best, benchmark)
    sentence = _judged(best, field, reference, benchmark)
    if trained and rules and _overtakes(rules[0], best, benchmark):
        rule = rules[0]
        sentence += f", and {_name(rule)} is better than it by {_amount(rule)}"
        advice = _picked(rule, benchmark)
    elif direction > 0 and _lacks_constants(best, benchmark):
        return f"{sentence}, but met no search of constants: {_ADD_CONSTANTS} before you use it."
    elif direction > 0:
        advice = _picked(best, benchmark) if len(field) > 1 else _name(best)
    elif direction < 0:
        advice = _name(reference)
    else:
        advice = f"the simpler one, {_name(reference)}"
    return f"{sentence}: use {advice}{_caveats(best, benchmark)}."


def _judged(best: Row, field: list[Row], reference: Row, benchmark: Benchmark) -> str:
    """The comparison of the field's best with the reference, in words."""
    subject = _name(best)
    if len(field) > 1:
        kind = "trained policies" if best.trained else "rules"
        subject += f", the best of {len(field)} {kind},"
    against = _name(reference)
    direction = _direction(best, benchmark)
    if direction == 0:
        difference = _interval(_estimate(best), signed=True)
        facts = f"(difference {difference}, {_facts(best, reference)})"
        return f"{subject} shows no clear difference from {against} {facts}"
    word = "better" if direction > 0 else "worse"
    return f"{subject} is {word} than {against} by {_amount(best)} ({_facts(best, reference)})"


def _facts(best: Row, reference: Row) -> str:
    """The number of runs behind a comparison, and what both sides have cost before it."""
    facts = f"n = {_count(best)}"
    if not best.training_runs:
        return facts
    seeds = " a seed" if len(best.figures) > 1 else ""
    before = f"{best.label} {best.training_runs:,}{seeds}"
    return f"{facts}; training runs: {before}, {reference.label} {reference.training_runs or 0:,}"


def _picked(row: Row, benchmark: Benchmark) -> str:
    """The winner of several was picked by the very scores that it is judged by."""
    again = benchmark.words.again
    return f"{_name(row)}, but it was picked by these scores: confirm it with {again}"


def _caveats(best: Row, benchmark: Benchmark) -> str:
    """What weakens the verdict, in brackets."""
    caveats = []
    seeds = len(best.figures)
    if best.trained and seeds < MIN_SEEDS:
        runs = "training seed" if seeds == 1 else "training seeds"
        caveats.append(f"{seeds} {runs}, at least {MIN_SEEDS} are needed")
    problems = len(benchmark.instances)
    if problems < MIN_PROBLEMS:
        caveats.append(f"{problems} {benchmark.noun}, at least {MIN_PROBLEMS} are needed")
    if _lacks_constants(best, benchmark):
        caveats.append(f"no constants were searched, {_ADD_CONSTANTS}")
    return f" (preliminary: {'; '.join(caveats)})" if caveats else ""


def _lacks_constants(best: Row, benchmark: Benchmark) -> bool:
    """Whether something trained was never compared with the best of several constants."""
    return best.trained and all(row.constants < MIN_CONSTANTS for row in benchmark.rows)


def _direction(row: Row, benchmark: Benchmark) -> int:
    """1 where the row is clearly better than the reference, -1 where clearly worse, else 0."""
    estimate = _estimate(row)
    if estimate.low > 0:
        return -1 if benchmark.metric.minimize else 1
    if estimate.high < 0:
        return 1 if benchmark.metric.minimize else -1
    return 0


def _overtakes(rule: Row, trained: Row, benchmark: Benchmark) -> bool:
    """Whether the rule clearly beats the reference, and has a better mean than the trained one."""
    labels = [row.label for row in benchmark.rows]  # best mean first
    ahead = labels.index(rule.label) < labels.index(trained.label)
    return ahead and _direction(rule, benchmark) > 0


def _estimate(row: Row) -> Estimate:
    assert row.difference is not None, "every row but the reference has been compared with it"
    return row.difference


def _name(row: Row) -> str:
    return f"{row.label} ({row.chosen})" if row.chosen else row.label


def _count(row: Row) -> str:
    seeds, problems = row.figures.shape
    return str(problems) if seeds == 1 else f"{seeds}×{problems}"


def _amount(row: Row) -> str:
    """The difference to the reference without its sign, which a word gives."""
    estimate = _estimate(row)
    if estimate.value < 0:
        estimate = Estimate(-estimate.value, -estimate.high, -estimate.low)
    return _interval(estimate)


def _interval(estimate: Estimate, signed: bool = False) -> str:
    """With three decimals as in the table, and more where two significant digits need them."""
    size = max(abs(estimate.low), abs(estimate.high))
    decimals = 3
    if 0 < size < math.inf:
        decimals = max(3, 1 - math.floor(math.log10(size)))
    form = f"{'+' if signed else ''}.{decimals}f"
    value, low, high = (f"{each:{form}}" for each in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"
