"""Which UCUM units measure the same kind of thing: where a server may convert and the oracle's small table does not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache

from tests.oracle.numbers import LENGTH, MASS

_DIMENSIONS = {
    "g": {"mass": 1}, "t": {"mass": 1}, "[lb_av]": {"mass": 1}, "[oz_av]": {"mass": 1},
    "m": {"length": 1}, "[in_i]": {"length": 1}, "[ft_i]": {"length": 1},
    "l": {"length": 3}, "L": {"length": 3}, "[foz_us]": {"length": 3},
    "s": {"time": 1}, "min": {"time": 1}, "h": {"time": 1}, "d": {"time": 1}, "wk": {"time": 1}, "mo": {"time": 1},
    "a": {"time": 1}, "U": {"time": -1}, "Hz": {"time": -1}, "kat": {"time": -1},
    "mol": {}, "eq": {}, "%": {}, "10*": {}, "10^": {}, "": {}, "Cel": {"temperature": 1}, "K": {"temperature": 1},
    "[degF]": {"temperature": 1}, "Pa": {"pressure": 1}, "m[Hg]": {"pressure": 1}, "bar": {"pressure": 1},
}  # fmt: skip
_PREFIXES = ("da", "Y", "Z", "E", "P", "T", "G", "M", "k", "h", "d", "c", "m", "u", "n", "p", "f", "a", "z", "y", "")
_FACTOR = re.compile(r"(10\*|10\^|[^\d\-+]+?)?([-+]?\d+)?")


@cache
def dimensions(code: str) -> frozenset[tuple[str, int]]:
    """The powers of mass, length, time and so on in a unit; what is not known is a dimension of its own."""
    total: Counter[str] = Counter()
    sign = 1
    for operator, factor in re.findall(r"([./]?)([^./]*)", re.sub(r"\{[^}]*\}|\([^)]*\)", "", code)):
        sign = -1 if operator == "/" else 1
        match = _FACTOR.fullmatch(factor)
        unit, power = (match[1] or "", int(match[2] or 1)) if match else (factor, 1)
        for name, exponent in _dimensions(unit).items():
            total[name] += sign * power * exponent
    return frozenset((name, power) for name, power in total.items() if power)


def _dimensions(unit: str) -> dict[str, int]:
    for prefix in ("", *_PREFIXES):
        if unit.startswith(prefix) and unit[len(prefix) :] in _DIMENSIONS:
            return _DIMENSIONS[unit[len(prefix) :]]
    return {unit: 1}


def is_plain(code: str, others: Iterable[str]) -> bool:
    """Whether none of the other units could be converted to this one, but by the oracle's own table."""
    table = next((each for each in (MASS, LENGTH) if code in each), {})
    return all(other == code or other in table or dimensions(other) != dimensions(code) for other in others)
