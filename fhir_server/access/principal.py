"""The caller, as everything below the HTTP layer sees them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone or something that acts: `name` for the audit trail, and what they may see."""

    name: str
    is_open: bool = False

    def fingerprint(self) -> str:
        """What tells two callers' access filters apart, for guards and cursors."""
        return "open" if self.is_open else self.name


# The caller when no sign-in is configured (`--open`), and the server's own commands.
ANYONE = Principal("anyone", is_open=True)
SYSTEM = Principal("system", is_open=True)
