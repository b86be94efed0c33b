"""Time that a scheduler adds to a step of a training loop, side by side in one run.

    python -m benchmarks.scheduler

The step is forward, backward and Adam of a small network. Each row is measured in turn with the
plain step, round by round; the figure is the mean over rounds of the added time by the plain time,
with a 95 % bootstrap interval over rounds.
"""
