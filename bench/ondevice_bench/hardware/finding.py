"""What the doctor finds on a machine, as runs store it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["ok", "warning", "unknown"]


@dataclass(frozen=True)
class DoctorFinding:
    """One fact about the machine. Its level is `unknown` if the machine does not show it."""

    subject: str
    level: Level
    observation: str  # `said` in stored findings
    effect: str = ""
    cure: str = ""

    @property
    def is_warning(self) -> bool:
        """Whether results of this machine need care."""
        return self.level == "warning"

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain values."""
        return {
            "subject": self.subject,
            "level": self.level,
            "said": self.observation,
            "effect": self.effect,
            "cure": self.cure,
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "DoctorFinding":
        """The inverse of `to_dict`. It ignores keys of newer versions."""
        return DoctorFinding(
            values["subject"],
            values["level"],
            values["said"],
            values.get("effect", ""),
            values.get("cure", ""),
        )
