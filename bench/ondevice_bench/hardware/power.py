"""`power` in a profile: the meter that measures the energy of the board."""

from dataclasses import dataclass

from ondevice_bench.errors import suggestion

KINDS = ("rapl", "pmic", "hwmon")
COMMAND, HWMON = "command", "hwmon"
ALLOWED = "rapl, pmic, hwmon, {hwmon: [RAIL, …]} or {command: [PROGRAM, ARGUMENT, …]}"


@dataclass(frozen=True)
class Power:
    """A meter. `rails` are those of hwmon; none means that `bench` chooses."""

    kind: str
    rails: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def to_yaml(self) -> object:
        """The value as in a profile."""
        words = {HWMON: self.rails, COMMAND: self.command}.get(self.kind)
        return {self.kind: list(words)} if words else self.kind


def parse_power(value: object) -> Power | None:
    """Read `power:`; ValueError if it is wrong."""
    if value is None or isinstance(value, Power):
        return value
    if isinstance(value, str):
        if value in KINDS:
            return Power(value)
        raise ValueError(f"must be {ALLOWED}, got {value!r}{suggestion(value, KINDS)}")
    if isinstance(value, dict) and len(value) == 1:
        ((key, words),) = value.items()
        if key == COMMAND:
            return Power(COMMAND, command=_words(key, words))
        if key == HWMON:
            return Power(HWMON, rails=_words(key, words))
    raise ValueError(f"must be {ALLOWED}, got {value!r}")


def _words(key: str, value: object) -> tuple[str, ...]:
    """The words of a list. No shell splits a text, so a text is refused."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"{key} must be a list of words, got {value!r}")
    for word in value:
        if not isinstance(word, str) or not word or "\0" in word:
            raise ValueError(f"{key} must be a list of words, got {word!r} in it")
    return tuple(value)
