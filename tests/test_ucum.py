"""UCUM codes in base units; the grammar and the factors are held against the package that the table comes from."""

from __future__ import annotations

import math
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import distribution
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server import ucum

MOLE = Fraction("6.02214076e23")


def factor(unit: ucum.Unit) -> Fraction:
    return Fraction(unit.numerator) / Fraction(unit.denominator)


@pytest.mark.parametrize(
    ("code", "dimension", "expected"),
    [
        ("mg", "g", Fraction(1, 1000)),
        ("ug", "g", Fraction(1, 10**6)),
        ("[lb_av]", "g", Fraction("453.59237")),
        ("kg/m2", "g.m-2", 1000),
        ("mg/dL", "g.m-3", 10),
        ("mmol/L", "m-3", MOLE),
        ("10*9/L", "m-3", 10**12),
        ("10*3/uL", "m-3", 10**12),
        ("{beats}/min", "s-1", Fraction(1, 60)),
        ("/min", "s-1", Fraction(1, 60)),
        ("mm[Hg]", "g.m-1.s-2", 133322),
        ("mL/min/{1.73_m2}", "m3.s-1", Fraction(1, 60 * 10**6)),
        ("m/(s.kg)", "g-1.m.s-1", Fraction(1, 1000)),
        ("m/s.kg", "g.m.s-1", 1000),
        ("/(m.s-1)", "m-1.s", 1),
        ("ug/(24.h)", "g.s-1", Fraction(1, 10**6 * 86400)),
        ("a", "s", 31557600),
        ("%", "1", Fraction(1, 100)),
        ("1", "1", 1),
        ("{score}", "1", 1),
        ("10*-3", "1", Fraction(1, 1000)),
        ("m+2", "m2", 1),
        ("dar", "m2", 10),
        ("g%", "g.m-3", 10**4),
        ("[Cal]", "g.m2.s-2", 4184 * 1000),
        ("k[IU]/L", "[iU].m-3", 10**6),
        ("m[iU]/mL", "[iU].m-3", 1000),
        ("[CFU]/mL", "[CFU].m-3", 10**6),
        ("m/m", "1", 1),
    ],
)
def test_units_in_base_units(code: str, dimension: str, expected: Fraction) -> None:
    unit = ucum.canonical(code)
    assert unit is not None
    assert (unit.dimension, factor(unit), unit.zero) == (dimension, expected, 0)


@pytest.mark.parametrize(
    ("value", "code", "kelvin"),
    [
        ("37", "Cel", "310.15"),
        ("-273.15", "Cel", "0"),
        ("37000", "mCel", "310.15"),
        ("37", "Cel{oral}", "310.15"),
        ("98.6", "[degF]", "310.15"),
        ("-459.67", "[degF]", "0"),
        ("29.6", "[degRe]", "310.15"),
        ("558.27", "[degR]", "310.15"),
        ("310.15", "K", "310.15"),
    ],
)
def test_temperatures(value: str, code: str, kelvin: str) -> None:
    unit = ucum.canonical(code)
    assert unit is not None
    assert (unit.dimension, unit.to_base(Decimal(value))) == ("K", Decimal(kelvin))


SPECIAL = ("[pH]", "B", "dB", "dB[SPL]", "Np", "bit_s", "%[slope]", "[p'diop]", "[m/s2/Hz^(1/2)]")
SHIFTED = ("Cel/m", "J/Cel", "Cel2", "2.Cel")  # a shift makes no sense in a product
MALFORMED = (
    *(
        "",
        " ",
        "mg ",
        "m.",
        "m//s",
        "(m",
        "m)",
        "(m)2",
        "()",
        "mmm",
        "kmin",
        "Torr",
        "GM",
        "m0",
        "0",
        "1/0",
        "m²",
        "m٣",
    ),
    *("{a", "{a}}", "{a b}", "{é}"),
)
BEYOND = ("10*99.10*99", "Ym9", "[pi]99." * 9 + "m", "m" + "/m" * 40, "10*999999999")


@pytest.mark.parametrize("code", [*SPECIAL, *SHIFTED, *MALFORMED, *BEYOND])
def test_what_does_not_convert(code: str) -> None:
    assert ucum.canonical(code) is None


@given(st.text(alphabet="mgkLsl10*^.-+/(){}[]IUupi% 92", max_size=70) | st.text(max_size=70))
def test_any_text_is_a_unit_or_none(code: str) -> None:
    unit = ucum.canonical(code)
    assert unit is None or 0 < factor(unit) < 10**100


@given(st.decimals(allow_nan=False, allow_infinity=False) | st.integers(), st.sampled_from(["mg", "Cel", "/min", "Ym"]))
def test_any_number_converts(value: Decimal | int, code: str) -> None:
    unit = ucum.canonical(code)
    assert unit is not None
    assert not math.isnan(float(unit.to_base(value)))


def test_numbers_beyond_all_measure_are_infinite() -> None:
    unit = ucum.canonical("mg")
    assert unit is not None
    assert unit.to_base(Decimal("-1E+999999999999")) == -math.inf
    assert unit.to_base(Decimal("1E-999999999999")) == 0


def test_the_table_is_all_that_is_loaded() -> None:
    check = "import sys; from fhir_server import ucum; assert ucum.canonical('mg'); print('pint' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


# ---- against ucumvert --------------------------------------------------------------------------------

# What pint, to which ucumvert converts, takes for something else or knows with other digits than UCUM's table.
OTHERWISE = {
    *("'", "''", "g%", "[Cal]", "[LPF]", "/[LPF]", "{#}/[LPF]", "[Btu]", "cal_[15]", "[cft_i]", "[cyd_i]", "[didot]"),
    *("[cicero]", "G", "Mx", "Oe", "Gb", "mm[Hg]", "cm[Hg]", "m[Hg]", "[in_i'Hg]", "[in_i'H2O]", "[PRU]", "[wood'U]"),
    *(f"[{one}_br]" for one in ("in", "ft", "rd", "ch", "lk", "fth", "pc", "yd", "mi", "nmi", "kn", "acr")),
}


def examples() -> list[str]:
    """The codes of UCUM's own list of examples."""
    path = Path(str(distribution("ucumvert").locate_file("ucumvert/vendor/ucum_examples.tsv")))
    return [row.split("\t")[1].strip() for row in path.read_text(encoding="utf-8").splitlines()[1:]]


def test_what_ucumvert_parses_converts_and_nothing_else() -> None:
    import ucumvert
    from ucumvert import xml_util

    parser = ucumvert.get_ucum_parser()
    special = {one.code_cs for one in xml_util.get_units_with_full_definition() if one.is_special}
    stays = special - {"Cel", "[degF]", "[degRe]"}
    metric = [*xml_util.get_metric_units(), *xml_util.get_base_units()]
    prefixed = {prefix + unit: unit for prefix in xml_util.get_prefixes() for unit in metric}
    for code in [*examples(), *xml_util.get_units(), *prefixed, "kmin", "mg/", "m.s{x", "Torr"]:
        try:
            parser.parse(code)
            parsed = True
        except ucumvert.parser.LarkError:
            parsed = False
        converts = parsed and prefixed.get(code, code) not in stays
        assert (ucum.canonical(code) is not None) == converts, code


def test_factors_are_those_of_pint() -> None:
    import ucumvert

    registry = ucumvert.PintUcumRegistry()
    for code in set(examples()) - OTHERWISE:
        unit = ucum.canonical(code)
        if unit is None or unit.zero:
            continue
        theirs = registry.from_ucum(code)
        if not hasattr(theirs, "to_base_units"):
            continue  # nothing but an annotation
        quantity = theirs.to_base_units()
        expected = float(quantity.magnitude)
        for base, power in quantity._units.items():
            expected *= {"kilogram": 1000.0, "mole": float(MOLE)}.get(base, 1.0) ** float(power)
        assert math.isclose(float(factor(unit)), expected, rel_tol=1e-6), code
