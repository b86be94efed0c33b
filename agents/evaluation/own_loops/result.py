"""What a comparison on an own loop has shown: scores, table, verdict and files."""

import csv
import importlib.util
import io
import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.tools.files import write_text

from ..reports.report import markdown_table, text_table
from ..reports.verdict import verdict
from ..rows import Benchmark, Row
from .runs import Run

MIN_SEEDS = 5  # below, an interval says next to nothing


@dataclass(frozen=True)
class LoopComparison:
    """Rules compared on a training loop, run by run.

    Args:
        benchmark: the rows of the table, best mean first.
        runs: what each rule's calls gave, by the rule's name, in the order of the seeds.
        function: name of the user's function.
        remarks: lines under the table.
    """

    benchmark: Benchmark
    runs: dict[str, list[Run]]
    function: str
    remarks: list[str]

    @property
    def verdict(self) -> str | None:
        """One sentence that says what to use; None where there is a single rule."""
        return verdict(self.benchmark)

    @property
    def best(self) -> str:
        """Name of the rule with the best mean."""
        return self.benchmark.rows[0].label

    @property
    def reference(self) -> str | None:
        """Name of the rule that the others are compared with."""
        return self.benchmark.reference

    @property
    def scores(self) -> dict[str, np.ndarray]:
        """Scores of each rule, (seeds,), as `train` returned them; best mean first."""
        return {
            row.label: np.array([run.score for run in self.runs[row.label]])
            for row in self.benchmark.rows
        }

    def __str__(self) -> str:
        return text_table(self.benchmark, self.remarks)

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return markdown_table(self.benchmark, self.remarks)

    def save(self, folder: str | Path) -> list[Path]:
        """Write table.txt, table.md, results.json, results.csv and figure.png.

        Without matplotlib there is no figure, and a warning says so.

        Returns:
            Their paths.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        texts = {
            "table.txt": f"{self.function}\n{self}\n",
            "table.md": self._repr_markdown_() + "\n",
            "results.json": json.dumps(self._plain(), indent=1),
            "results.csv": self._csv(),
        }
        for name, text in texts.items():
            write_text(folder / name, text)
        paths = [folder / name for name in texts]
        if importlib.util.find_spec("matplotlib") is None:
            line = "figure.png is left out, it needs matplotlib: pip install 'autoloss_gym[agents]'"
            warnings.warn(line, stacklevel=2)
            return paths

        from ..reports.figure import draw

        draw(self.benchmark, self.function, folder / "figure.png")
        return [*paths, folder / "figure.png"]

    def _plain(self) -> dict[str, Any]:
        """Strict JSON: a score that is not finite is null."""
        rows = []
        for row in self.benchmark.rows:
            runs = self.runs[row.label]
            rows.append(
                {
                    "rule": row.label,
                    "arguments": runs[0].key,
                    "mean": asdict(row.mean),
                    "interquartile_mean": asdict(row.interquartile_mean),
                    "difference": None if row.difference is None else asdict(row.difference),
                    "improvement": None if row.improvement is None else asdict(row.improvement),
                    "failed": row.failed,
                    "scores": _finite(run.score for run in runs),
                    "figures": {name: _finite(values[0]) for name, values in row.others.items()},
                    "seconds": [run.seconds for run in runs],
                }
            )
        return {
            "function": self.function,
            "minimize": self.benchmark.metric.minimize,
            "reference": self.reference,
            "verdict": self.verdict,
            "remarks": self.remarks,
            "seeds": self.benchmark.instances.tolist(),
            "rows": rows,
        }

    def _csv(self) -> str:
        """One line for each rule and seed."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        others = list(self.benchmark.rows[0].others)
        writer.writerow(["rule", "seed", "score", "seconds", *others])
        for row in self.benchmark.rows:
            for run in self.runs[row.label]:
                figures = [run.figures.get(name, math.nan) for name in others]
                writer.writerow([row.label, run.seed, run.score, run.seconds, *figures])
        return buffer.getvalue()


def _finite(values: Any) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]


def remarks_on(rows: Sequence[Row], num_seeds: int, worst: float, is_given: bool) -> list[str]:
    """Lines about runs that failed, and about few seeds."""
    lines = []
    failed = [f"{row.label} {row.failed} of {num_seeds}" for row in rows if row.failed]
    if failed:
        whose = "as worst=… says" if is_given else "the worst score of any run here"
        lines.append(
            f"Failed runs, whose score is NaN or infinite: {', '.join(failed)}; in means, "
            f"differences and IQM each counts as {worst:.6g}, {whose}, and no run is worse."
        )
    if num_seeds < MIN_SEEDS:
        seeds = "1 seed" if num_seeds == 1 else f"{num_seeds} seeds"
        lines.append(f"{seeds}: intervals of fewer than {MIN_SEEDS} are not to be trusted.")
    return lines
