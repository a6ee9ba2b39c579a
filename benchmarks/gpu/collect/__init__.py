"""Write the page of GPU results: tables, figures, and which goals were met.

Every number on the page is computed from the rows in results.json; a dash means "not measured".
"""

from benchmarks.gpu.collect.build import collect
from benchmarks.gpu.collect.goals import Goal, judge_goals
from benchmarks.gpu.collect.overview import REHEARSAL
from benchmarks.gpu.collect.reading import read_run

__all__ = ["REHEARSAL", "Goal", "collect", "judge_goals", "read_run"]
