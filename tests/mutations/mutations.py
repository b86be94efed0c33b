"""Breaks each rule of training on purpose, in a copy of the package, and sees that the tests notice.

python -m tests.mutations [WORDS]

A mutation replaces one piece of text in one file; the tests named beside it must fail with it, and pass without. With words,
only the rules whose text has one of them are broken.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.paths import ROOT

# (rule, file, [(text, what it becomes), …], tests)
MUTATIONS = [
    (
        "1 one optimizer for all losses of a block",
        "autoloss_gym/core/gradient_task.py",
        [
            (
                "{name: self.optimizer.init(block) for name, block in packed.items()}",
                "{name + pair.name: self.optimizer.init(block) for name, block in packed.items() for pair in self.pairs}",
            ),
            (
                "                total, active = self._combine(name, gradients, weights, used)\n                if total is not None:\n                    self.optimizer.update(parameters, total, state.optimizer[name], active, control.step_size)\n",
                "                for index, pair in enumerate(self.pairs):\n                    mask = used & (torch.arange(len(self.pairs)) == index)\n                    total, active = self._combine(name, gradients, weights, mask)\n                    if total is not None:\n                        slot = state.optimizer[name + pair.name]\n                        self.optimizer.update(parameters, total, slot, active, control.step_size)\n",
            ),
        ],
        "core/test_gradient_task.py::test_all_losses_of_a_block_share_one_adam",
    ),
    (
        "2 idle runs keep their moments",
        "autoloss_gym/optimizers/adam.py",
        [("torch.tensor((1.0, 1.0, 0.0, 0.0, 1.0)", "torch.tensor((first, second, 0.0, 0.0, 1.0)")],
        "optimizers/test_optimizers.py",
    ),
    (
        "2 idle runs keep their step count",
        "autoloss_gym/optimizers/adam.py",
        [
            (
                "add_(active)\n        active = active[:, None]\n        taken",
                "add_(1)\n        active = active[:, None]\n        taken",
            )
        ],
        "optimizers/test_optimizers.py",
    ),
    (
        "2 a pair moves its own blocks alone",
        "autoloss_gym/core/gradient_task.py",
        [("enumerate(self.pairs) if block in pair.blocks]\n", "enumerate(self.pairs)]\n")],
        "core/test_gradient_task.py",
    ),
    (
        "3 draws do not depend on the batch",
        "autoloss_gym/random.py",
        [
            (
                "return _mix(keys[:, None] + counters)",
                "return _mix(keys[:, None] + counters + torch.arange(len(keys))[:, None])",
            )
        ],
        "test_random.py",
    ),
    (
        "3 the same bits in any batch",
        "autoloss_gym/tasks/supervised/quadratic_regression.py",
        [
            (
                '(affine(inputs, weights["quadratic"], weights["linear"], scale=0.1) * inputs).sum(dim=2)',
                '(torch.bmm(inputs, weights["quadratic"]) * inputs).sum(dim=2) / 10'
                ' + torch.bmm(inputs, weights["linear"][:, :, None])[:, :, 0]',
            )
        ],
        "environment/test_vector_env.py",
    ),
    (
        "3 resetting one run leaves the others",
        "autoloss_gym/environment/vector_env.py",
        [
            (
                "self._elapsed[rows], self._finished[rows] = 0, False",
                "self._elapsed[:], self._finished[rows] = 0, False",
            )
        ],
        "environment/test_vector_env.py",
    ),
    (
        "4 losses are refreshed when they are optimised, and only then",
        "autoloss_gym/signals/history.py",
        [
            (
                "self.losses = torch.where(evaluation.measured, evaluation.losses, self.losses)",
                "self.losses = evaluation.losses",
            )
        ],
        "environment/test_vector_env.py",
    ),
    (
        "4 slopes use refreshed values",
        "autoloss_gym/weightings/memory.py",
        [
            (
                'state["history"] = torch.where(refreshed[..., None], pushed, history)',
                'state["history"] = pushed',
            )
        ],
        "environment/test_vector_env.py weightings/test_softadapt.py",
    ),
    (
        "4 a loss that is not finite is left out of the history",
        "autoloss_gym/weightings/rule.py",
        [("refreshed=mask & finite", "refreshed=mask")],
        "weightings/test_softadapt.py weightings/test_weightings.py",
    ),
    (
        "4 a prior is never forgotten",
        "autoloss_gym/weightings/rule.py",
        [("weights = weights * row(tuple(self.prior), weights.device, weights.dtype)", "pass")],
        "weightings/test_softadapt.py",
    ),
    (
        "5 a failed run is idle before the optimizer",
        "autoloss_gym/core/gradient_task.py",
        [("control.weights, used & ~state.diverged[:, None]", "control.weights, used")],
        "core/test_gradient_task.py",
    ),
    (
        "5 a loss that was not chosen harms nobody",
        "autoloss_gym/core/gradient_task.py",
        [("part = torch.where(used[:, index : index + 1], part, rest)", "pass")],
        "core/test_gradient_task.py",
    ),
    (
        "5 a diverged run ends with the worst score",
        "autoloss_gym/environment/infos.py",
        [("torch.where(diverged | ~torch.isfinite(bounded), metric.worst, bounded)", "bounded")],
        "environment/test_infos.py environment/test_vector_env.py",
    ),
    (
        "6 the due runs are validated, and no others",
        "autoloss_gym/environment/vector_env.py",
        [
            (
                "on_rows(functools.partial(self._programs.validate, self.task), self._runs.state, due)",
                "self.task.validate(self._runs.state)",
            )
        ],
        "environment/test_vector_env.py",
    ),
    (
        "6 episodes end where a validation is due",
        "autoloss_gym/environment/vector_env.py",
        [
            (
                "(due, self._elapsed >= self.task.max_steps)",
                "(due, self._elapsed >= self.task.max_steps - self.task.validate_every)",
            )
        ],
        "environment/test_vector_env.py",
    ),
    (
        "7 best_score is at the best validation",
        "autoloss_gym/environment/runs.py",
        [
            (
                "runs.best = tree.where(improved, runs.state.parameters, runs.best)",
                "runs.best = tree.clone(runs.state.parameters)",
            )
        ],
        "environment/test_infos.py environment/test_vector_env.py",
    ),
    (
        "7 score is at the last step",
        "autoloss_gym/environment/infos.py",
        [
            (
                "last_scores = _bounded_scores(task, state, ended)",
                "last_scores = _bounded_scores(task, replace(state, parameters=best), ended)",
            )
        ],
        "environment/test_infos.py",
    ),
    (
        "8 a loss needs its gradient under no_grad as well",
        "autoloss_gym/core/gradient_task.py",
        [
            (
                "        with torch.enable_grad():\n            own = {",
                "        if True:\n            own = {",
            )
        ],
        "core/test_gradient_task.py",
    ),
    (
        "8 a split penalty is that of its own block",
        "autoloss_gym/losses/penalties.py",
        [
            (
                "named_tensors({block: parameters[block] for block in blocks})",
                "named_tensors(parameters)",
            )
        ],
        "losses/test_penalties.py",
    ),
    (
        "9 a threshold rule penalises above its threshold",
        "agents/policies/threshold_rules.py",
        [("a - b > self.threshold * b", "a - b < self.threshold * b")],
        "agents/policies/test_threshold_rules.py",
    ),
    (
        "9 the best quarter goes on",
        "agents/evaluation/successive_halving.py",
        [("np.argsort(means, kind=", "np.argsort(-means, kind=")],
        "agents/evaluation/test_successive_halving.py",
    ),
    (
        "9 a search follows its best schedules",
        "agents/policies/open_loop.py",
        [("[:_ELITE]", "[-_ELITE:]")],
        "agents/policies/test_open_loop.py",
    ),
    (
        "10 episodes on disk belong to their problems",
        "agents/evaluation/episode_store.py",
        [
            (
                "[repr(policy) for policy in policies], seeds.tolist()]",
                "[repr(policy) for policy in policies], len(seeds)]",
            )
        ],
        "agents/evaluation/test_episode_store.py",
    ),
]


def broken(text: str, replacements: list[tuple[str, str]]) -> str:
    """`text` with each piece, which must stand there once, replaced."""
    for old, new in replacements:
        if text.count(old) != 1:
            raise ValueError(f"expected once, found {text.count(old)} times: {old!r}")
        text = text.replace(old, new)
    return text


def passes(copy: Path, tests: str) -> bool:
    """Whether all these tests pass on the package in `copy`."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        *(f"tests/{name}" for name in tests.split()),
    ]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    return (
        subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, check=False
        ).returncode
        == 0
    )


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("autoloss_gym", "agents", "examples", "tests", "pyproject.toml"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        chosen = [
            mutation
            for mutation in MUTATIONS
            if any(word in mutation[0] for word in sys.argv[1:] or [""])
        ]
        names = sorted({name for mutation in chosen for name in mutation[3].split()})
        if not passes(copy, " ".join(names)):
            print("the tests fail on the unbroken package")
            return 1
        missed = 0
        for rule, file, replacements, tests in chosen:
            path = copy / file
            text = path.read_text()
            path.write_text(broken(text, replacements))
            noticed = not passes(copy, tests)
            missed += not noticed
            print(f"{'noticed' if noticed else 'MISSED '}  rule {rule}", flush=True)
            path.write_text(text)
    print(f"{len(chosen) - missed} of {len(chosen)} broken rules were noticed")
    return missed
