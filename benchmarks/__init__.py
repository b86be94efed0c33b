"""Speed, memory and kills: `python -m benchmarks.NAME`."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
