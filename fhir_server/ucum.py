"""UCUM units: what a code is in base units, exactly, so that 5.4 mg and 0.0054 g are one quantity.

https://ucum.org/ucum · The units are UCUM's own table as the package ucumvert carries it, read at the first use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache, lru_cache
from typing import NamedTuple

SYSTEM = "http://unitsofmeasure.org"
MAX_CODE = 64  # characters; a longer code stays itself

_TABLE = "ucumvert/vendor/ucum-essence.xml"
# Special units that a shift turns into ordinary ones; the table only names their functions.
_ZEROS = {"Cel": Fraction("273.15"), "degF": Fraction("459.67"), "degRe": Fraction("218.52")}
_BITS = 2000  # of numerator and denominator on the way, so that a hostile code costs little
_LARGEST = 10**100  # and the inverse the smallest factor: values then stay within what a float can hold
# More digits than numbers are written with, and no exceptions: what is too large becomes infinite.
_EXACT = Context(prec=60, traps=[])

_SIMPLE = re.compile(
    r"(?P<symbol>10[*^]|(?:[^\d\s.()/+\[\]{}-]|\[[^\[\]]*\])+)(?:(?P<exponent>[+-]?[1-9]\d?)(?!\d))?", re.ASCII
)
_FACTOR = re.compile(r"[1-9]\d{0,8}(?!\d)", re.ASCII)
_ANNOTATIONS = re.compile(r"(?:\{[!-z|~]*\})*")


@dataclass(frozen=True, slots=True)
class Unit:
    """A value x of this unit is (x + zero) · numerator / denominator in base units.

    `dimension` is those base units in one spelling ("g.m-3"; "1" for none), the same for all units that convert into
    each other.
    """

    dimension: str
    numerator: Decimal
    denominator: Decimal
    zero: Decimal

    def to_base(self, value: Decimal | int) -> Decimal:
        """The value in base units, exact to 60 digits."""
        shifted = _EXACT.add(value, self.zero)
        return _EXACT.divide(_EXACT.multiply(shifted, self.numerator), self.denominator)


def canonical(code: str) -> Unit | None:
    """The unit of a case-sensitive UCUM code; None when it is no such code or does not convert ("[pH]", "dB")."""
    return _canonical(code) if len(code) <= MAX_CODE else None


@lru_cache(1024)
def _canonical(code: str) -> Unit | None:
    try:
        scale, zero = _shifted(code) or (_whole(code), Fraction())
    except ValueError:
        return None
    if not Fraction(1, _LARGEST) < scale.factor < _LARGEST:
        return None
    return Unit(
        dimension=scale.dimension(),
        numerator=Decimal(scale.factor.numerator),
        denominator=Decimal(scale.factor.denominator),
        zero=Decimal(zero.numerator) / zero.denominator,
    )


# ---- arithmetic --------------------------------------------------------------------------------------


class _Scale(NamedTuple):
    """A multiple of a product of base units."""

    factor: Fraction
    powers: Mapping[str, int]

    def times(self, other: _Scale, exponent: int = 1) -> _Scale:
        powers = dict(self.powers)
        for base, power in other.powers.items():
            powers[base] = powers.get(base, 0) + power * exponent
        factor = self.factor * other.factor**exponent
        if max(factor.numerator.bit_length(), factor.denominator.bit_length()) > _BITS:
            raise ValueError("nobody measures in this")
        return _Scale(factor, powers)

    def dimension(self) -> str:
        powers = sorted((base, power) for base, power in self.powers.items() if power)
        return ".".join(base if power == 1 else f"{base}{power}" for base, power in powers) or "1"


_ONE = _Scale(Fraction(1), {})


# ---- codes: https://ucum.org/ucum#section-Syntax-Rules -----------------------------------------------


def _whole(text: str) -> _Scale:
    """The scale of a code; raises ValueError when it has none, as all below do."""
    scale, end = _term(text, 0)
    if end != len(text):
        raise ValueError("something follows the unit")
    return scale


def _term(text: str, at: int) -> tuple[_Scale, int]:
    """Components multiplied and divided from left to right, and where they end."""
    scale, operator = _ONE, "."
    if text.startswith("/", at):
        operator, at = "/", at + 1
    while True:
        component, at = _component(text, at)
        scale = scale.times(component, 1 if operator == "." else -1)
        operator = text[at : at + 1]
        if operator not in (".", "/"):
            return scale, at
        at += 1


def _component(text: str, at: int) -> tuple[_Scale, int]:
    """A unit with its exponent, a number, or a term in parentheses; annotations mean nothing."""
    if text.startswith("(", at):
        scale, end = _term(text, at + 1)
        if not text.startswith(")", end):
            raise ValueError("a parenthesis stays open")
        end += 1
    elif match := _SIMPLE.match(text, at):
        prefix, definition = _symbol(match["symbol"])
        if definition.zero:
            raise ValueError("a shifted unit is no part of a product")
        scale, end = _ONE.times(_scaled(prefix, definition), int(match["exponent"] or 1)), match.end()
    elif match := _FACTOR.match(text, at):
        scale, end = _Scale(Fraction(match[0]), {}), match.end()
    elif text.startswith("{", at):
        scale, end = _ONE, at
    else:
        raise ValueError("no unit")
    annotations = _ANNOTATIONS.match(text, end)
    assert annotations is not None
    return scale, annotations.end()


def _shifted(text: str) -> tuple[_Scale, Fraction] | None:
    """Scale and zero of a unit such as Cel, which can only be alone."""
    match = re.fullmatch(_SIMPLE.pattern + _ANNOTATIONS.pattern, text, re.ASCII)
    if match is None or match["exponent"]:
        return None
    prefix, definition = _symbol(match["symbol"])
    return (_scaled(prefix, definition), definition.zero / prefix) if definition.zero else None


def _symbol(symbol: str) -> tuple[Fraction, _Definition]:
    """The factor of a symbol's prefix, and its unit."""
    prefixes, definitions = _table()
    if symbol in definitions:
        return Fraction(1), definitions[symbol]
    for length in (2, 1):
        definition = definitions.get(symbol[length:])
        if symbol[:length] in prefixes and definition is not None and definition.metric:
            return prefixes[symbol[:length]], definition
    raise ValueError("not a unit")


def _scaled(prefix: Fraction, definition: _Definition) -> _Scale:
    return _Scale(prefix, {}).times(_scale(definition))


# ---- the table ---------------------------------------------------------------------------------------


class _Definition(NamedTuple):
    """A row of the table: so many of another unit, or (`unit` empty) a base unit."""

    code: str
    factor: str
    unit: str
    metric: bool
    zero: Fraction = Fraction()


@cache
def _scale(definition: _Definition) -> _Scale:
    if not definition.unit:
        return _Scale(Fraction(1), {definition.code: 1})
    return _Scale(Fraction(definition.factor), {}).times(_whole(definition.unit))


@cache
def _table() -> tuple[dict[str, Fraction], dict[str, _Definition]]:
    """Prefixes and units by code; without the special units that do not convert."""
    from importlib.metadata import distribution
    from xml.etree import ElementTree

    # The file alone: importing the package would load pint, 25 MB and a third of a second.
    path = distribution("ucumvert").locate_file(_TABLE)
    prefixes: dict[str, Fraction] = {}
    definitions: dict[str, _Definition] = {}
    for row in ElementTree.parse(str(path)).getroot():
        code, value = row.attrib["Code"], row.find("{*}value")
        if value is None:
            definitions[code] = _Definition(code, "1", "", metric=True)
        elif row.tag.endswith("prefix"):
            prefixes[code] = Fraction(value.attrib["value"])
        else:
            metric = row.attrib["isMetric"] == "yes"
            function = value.find("{*}function")
            factor, unit = (value if function is None else function).attrib["value"], value.attrib["Unit"]
            if function is not None:
                zero = _ZEROS.get(function.attrib["name"])
                if zero is not None:
                    definitions[code] = _Definition(code, factor, function.attrib["Unit"], metric, zero)
            elif row.get("isArbitrary") == "yes" and unit == "1":
                # Arbitrary units are not commensurable with anything: https://ucum.org/ucum#section-Arbitrary-Units
                definitions[code] = _Definition(code, "1", "", metric)
            else:
                definitions[code] = _Definition(code, factor, unit, metric)
    return prefixes, definitions
