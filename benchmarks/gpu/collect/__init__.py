"""Write the page about what the kit measured: tables, figures, and which goals were met.

Every number on the page is computed from the rows in results.json; a dash stands for what was not measured.
"""

from benchmarks.gpu.collect.build import collect
from benchmarks.gpu.collect.goals import Goal, judge_goals
from benchmarks.gpu.collect.overview import REHEARSAL
from benchmarks.gpu.collect.reading import read_run

__all__ = ["REHEARSAL", "Goal", "collect", "judge_goals", "read_run"]
