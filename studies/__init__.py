"""Experiments of papers, one file or folder each: `python -m studies.NAME`."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
