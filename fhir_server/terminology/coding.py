"""One code as somebody uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Coding:
    """https://hl7.org/fhir/R4/datatypes.html#Coding, empty text for what is not said."""

    system: str = ""
    code: str = ""
    version: str = ""
    display: str = ""

    @classmethod
    def read(cls, coding: Mapping[str, Any]) -> Coding:
        """The Coding in this JSON object; what is no text counts as not said."""
        read = (coding.get(name, "") for name in ("system", "code", "version", "display"))
        return cls(*(text if isinstance(text, str) else "" for text in read))

    def to_fhir(self) -> dict[str, str]:
        named = {"system": self.system, "version": self.version, "code": self.code, "display": self.display}
        return {name: text for name, text in named.items() if text}
