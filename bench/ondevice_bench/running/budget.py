"""A run in bounded time: what a process will take, by pilots, and how long one may sample. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from statistics import median

from ondevice_bench.passes import CALIBRATE, PILOT, TIME, TREATED_LAYERS
from ondevice_bench.record.model import TaskKey

# sampling beyond the fewest samples has two parts at most: training steps and inference
_PARTS = 2
_SAMPLING = (TIME, TREATED_LAYERS)


@dataclass
class Budget:
    """The moment when no time is left, and the seconds of past processes.

    The time of a pass is estimated from the cell's own pilot, by the ratio of pass and pilot on
    other cells. The time of the first one of its kind is unknown, so it is begun.
    """

    end: float = inf
    lasting: Mapping[str, float] = field(default_factory=dict)  # seconds that the suite asks for
    _pilots: dict[str, float] = field(default_factory=dict)
    _ratios: dict[str, list[float]] = field(default_factory=dict)
    _taken: dict[tuple[str, str], float] = field(default_factory=dict)
    _typical: dict[str, float] = field(default_factory=dict)  # medians of the ratios so far

    def ordered(self, tasks: Sequence[TaskKey]) -> list[TaskKey]:
        """Where time is short, every cell's pilot and the ranks that it needs come first."""
        early = (CALIBRATE, PILOT) if self.end < inf else ()
        return sorted(tasks, key=lambda task: task.pass_name not in early)

    def learn(self, task: TaskKey, seconds: float, sampled: float = 0.0) -> None:
        """Note what a process took, and how much of it was sampling beyond the fewest."""
        fixed = max(0.0, seconds - sampled)
        self._taken[task.cell, task.pass_name] = fixed
        if task.pass_name == PILOT:
            self._pilots[task.cell] = seconds
        elif (pilot := self._pilots.get(task.cell)) is not None and pilot > 0:
            self._ratios.setdefault(task.pass_name, []).append(fixed / pilot)
            self._typical.pop(task.pass_name, None)

    def expected(self, task: TaskKey) -> float | None:
        """The shortest time that the process will take; None if unknown."""
        if task.pass_name in self.lasting:
            return self.lasting[task.pass_name]
        own = self._taken.get((task.cell, task.pass_name))
        if own is not None:
            return own
        pilot, ratio = self._pilots.get(task.cell), self._ratio(task.pass_name)
        return pilot * ratio if pilot is not None and ratio is not None else None

    def _ratio(self, pass_name: str) -> float | None:
        """The median of a pass's ratios to the pilots; None without any."""
        if pass_name not in self._typical and pass_name in self._ratios:
            self._typical[pass_name] = median(self._ratios[pass_name])
        return self._typical.get(pass_name)

    def affordable(self, tasks: Sequence[TaskKey], now: float) -> list[TaskKey]:
        """The processes that there is time for."""
        return [task for task in tasks if now + (self.expected(task) or 0.0) < self.end]

    def sampling_seconds(self, left: Sequence[TaskKey], now: float) -> float:
        """How long each part of the next pass may sample: running all passes comes first.

        The time that all remaining processes do not need is shared by the passes that sample.
        """
        least = sum(self.expected(task) or 0.0 for task in left)
        timed = sum(task.pass_name in _SAMPLING for task in left)
        return max(0.0, self.end - now - least) / max(1, timed) / _PARTS
