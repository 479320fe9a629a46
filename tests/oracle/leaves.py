"""Random values of the data types that searches look into."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from fhir_server.definitions import ElementDefinition, codings
from tests.oracle.expressions import Json

Pool = Mapping[str, Sequence[str]]  # resource type → ids that references may use

WORDS = (
    "alpha", "Brücke", "Ĉielo", "delta-four", "Ångström", "naïve", "zeta (II)", "ÉTÉ", "straße", "o'clock", "x-ray",
    "north/south", "red, green", "price $5", "a|b", "back\\slash", "Ελλάδα", "日本", "“quoted”", "semi;colon",
    "under_score",
)  # fmt: skip
FAMILIES = ("Müller", "O'Brien", "Carreno Quinones", "Smith-Jones", "van der Berg", "Nguyễn", "McDonald", "Ødegård")
GIVEN = ("José", "Anne-Marie", "Eve", "Evelyn", "Severine", "Zoë", "Peter James", "李")
CITIES = ("Springfield", "São Paulo", "Winston-Salem", "St. John's", "Zürich", "New York")
SYSTEMS = ("http://example.org/codes/a", "http://example.org/codes/b", "urn:oid:1.2.36.1.2001")
UNITS = (("g", "g"), ("mg", "mg"), ("kg", "kg"), ("cm", "cm"), ("m", "m"), ("mmHg", "mm[Hg]"), ("%", "%"))
ANY_TARGET = ("Patient", "Practitioner", "Organization", "Observation", "Encounter", "Condition")
UNLISTED = {  # required bindings whose codes R4 cannot list
    "http://hl7.org/fhir/ValueSet/mimetypes": ("text/plain", "application/pdf", "image/png"),
    "http://hl7.org/fhir/ValueSet/all-languages": ("en", "de-CH", "fr"),
    "http://hl7.org/fhir/ValueSet/languages": ("en", "de", "fr"),
    "http://hl7.org/fhir/ValueSet/currencies": ("USD", "EUR", "CHF"),
}


class Leaves:
    """Makes values with one generator of random numbers."""

    def __init__(self, rng: Random, pool: Pool) -> None:
        self.rng, self.pool = rng, pool
        self._makers: dict[str, Callable[[ElementDefinition], Any]] = {
            "string": lambda _: self.words(),
            "markdown": lambda _: self.words(),
            "code": self.code,
            "boolean": lambda _: rng.random() < 0.5,
            "integer": lambda _: rng.randint(-5, 400),
            "positiveInt": lambda _: rng.randint(1, 400),
            "unsignedInt": lambda _: rng.randint(0, 400),
            "decimal": self.number,
            "date": lambda _: self.day()[: rng.choice((4, 7, 10, 10))],
            "dateTime": lambda _: self.date_time(),
            "instant": lambda _: self.instant(),
            "time": lambda _: "10:30:00",
            "id": lambda _: f"Id-{rng.randint(1, 40)}",
            "uri": self.uri,
            "url": self.uri,
            "oid": lambda _: f"urn:oid:1.2.840.{rng.randint(1, 99)}",
            "uuid": lambda _: f"urn:uuid:{rng.getrandbits(128):032x}",
            "canonical": self.canonical,
            "base64Binary": lambda _: "aGVsbG8=",
            "CodeableConcept": self.concept,
            "Coding": self.coding,
            "Identifier": lambda _: self.identifier(),
            "Reference": lambda element: self.reference(element.targets),
            "HumanName": lambda _: self.name(),
            "Address": lambda _: self.address(),
            "ContactPoint": lambda _: self.contact(),
            "Period": lambda _: self.period(),
            "Timing": lambda _: self.timing(),
            "Range": lambda _: self.range(),
            "Money": lambda _: {"value": self.decimal(), "currency": rng.choice(("USD", "EUR"))},
            "Quantity": lambda _: self.quantity(UNITS),
            "Age": lambda _: self.quantity((("a", "a"),)),
            "Duration": lambda _: self.quantity((("h", "h"),)),
            "Count": lambda _: {"value": rng.randint(1, 9), "system": "http://unitsofmeasure.org", "code": "1"},
            "Distance": lambda _: self.quantity((("m", "m"),)),
            "Annotation": lambda _: {"text": self.words()},
            "Attachment": lambda _: {"contentType": "text/plain", "url": "http://example.org/a.txt", "title": "A text"},
            "Narrative": lambda _: {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
        }  # fmt: skip

    def make(self, element: ElementDefinition) -> Any:
        """A value for an element; {} for a type whose elements are to be filled in."""
        maker = self._makers.get(element.type)
        return maker(element) if maker else {}

    def words(self) -> str:
        return " ".join(self.rng.sample(WORDS, self.rng.choice((1, 2, 3))))

    def bound(self, element: ElementDefinition) -> tuple[str, str] | None:
        """A system and a code of the element's required binding."""
        binding = element.binding
        if binding is None or binding.strength != "required":
            return None
        listed = codings(binding.value_set)
        if listed is None:
            codes = UNLISTED.get(binding.value_set.partition("|")[0])
            return ("", self.rng.choice(codes)) if codes else None
        every = sorted((system, code) for system, codes in listed.items() for code in codes)
        return self.rng.choice(every) if every else None

    def code(self, element: ElementDefinition) -> str:
        bound = self.bound(element)
        return bound[1] if bound else self.rng.choice(("alpha", "Beta", "gamma-1"))

    def coding(self, element: ElementDefinition) -> Json:
        bound = self.bound(element)
        system, code = bound or (self.rng.choice((*SYSTEMS, "")), self.rng.choice(("A1", "a1", "B-2", "C.3", "D,4")))
        return ({"system": system} if system else {}) | {"code": code, "display": self.words()}

    def concept(self, element: ElementDefinition) -> Json:
        codings = [self.coding(element) for _ in range(1 if self.bound(element) else self.rng.choice((1, 1, 2)))]
        return {"coding": codings} | ({"text": self.words()} if self.rng.random() < 0.5 else {})

    def identifier(self) -> Json:
        value: Json = {"value": self.rng.choice(("Ab-12", "ab-12", "12345", "X|9", "00 17"))}
        if self.rng.random() < 0.8:
            value["system"] = self.rng.choice(SYSTEMS)
        if self.rng.random() < 0.6:
            kind = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": self.rng.choice(("MR", "SS"))}
            value["type"] = {"coding": [kind], "text": self.words()}
        return value

    def reference(self, targets: Sequence[str]) -> Json:
        """A reference, mostly to a resource of the pool."""
        allowed = [each for each in targets if each != "Resource"] or ANY_TARGET
        type_name = self.rng.choice([each for each in allowed if self.pool.get(each)] or allowed)
        key = f"{type_name}/{self.rng.choice(self.pool.get(type_name) or [f'{type_name.lower()}-1'])}"
        form = self.rng.random()
        if form < 0.08:
            return {"reference": f"http://other.example.org/fhir/{key}"}
        if form < 0.16:
            return {"reference": f"{key}/_history/{self.rng.randint(1, 3)}"}
        if form < 0.24:
            return {"type": type_name, "identifier": self.identifier()}
        return {"reference": key} | ({"identifier": self.identifier()} if form > 0.8 else {})

    def uri(self, element: ElementDefinition) -> str:
        if self.rng.random() < 0.2:
            return f"urn:oid:2.16.840.1.{self.rng.randint(1, 20)}"
        return f"http://example.org/fhir/{element.path.partition('.')[0]}/{'/'.join(self.rng.sample('abcd', 2))}"

    def canonical(self, element: ElementDefinition) -> str:
        version = self.rng.choice(("", "", "|1.0", "|1.1", "|2.0"))
        return f"http://example.org/canonical/{self.rng.choice('abc')}{version}"

    def number(self, element: ElementDefinition) -> Decimal:
        if element.path in ("Location.position.latitude", "Location.position.longitude"):
            return Decimal(self.rng.randint(-8500, 8500)).scaleb(-2)
        return self.decimal()

    def decimal(self) -> Decimal:
        return Decimal(self.rng.randint(1, 2000)).scaleb(-self.rng.randint(0, 3))

    def quantity(self, units: Sequence[tuple[str, str]]) -> Json:
        unit, code = self.rng.choice(units)
        return {"value": self.decimal(), "unit": unit, "system": "http://unitsofmeasure.org", "code": code}

    def range(self) -> Json:
        low, high = sorted((self.decimal(), self.decimal()))
        unit = {"unit": "g", "system": "http://unitsofmeasure.org", "code": "g"}
        both = {"low": {"value": low} | unit, "high": {"value": high} | unit}
        return self.some(both)

    def some(self, both: Json) -> Json:
        """Both of two bounds, or one."""
        left_out = self.rng.choice((*both, "", ""))
        return {name: each for name, each in both.items() if name != left_out}

    def day(self) -> str:
        return (date(1960, 1, 1) + timedelta(days=self.rng.randint(0, 24_000))).isoformat()

    def date_time(self) -> str:
        if self.rng.random() < 0.5:
            return self.day()[: self.rng.choice((4, 7, 10))]
        return self.instant()

    def instant(self) -> str:
        second = f"{self.rng.randint(0, 23):02}:{self.rng.randint(0, 59):02}:{self.rng.randint(0, 59):02}"
        return f"{self.day()}T{second}{self.rng.choice(('', '.25'))}{self.rng.choice(('Z', '+02:00', '-05:30'))}"

    def period(self) -> Json:
        start, end = sorted((self.day(), self.day()))
        return self.some({"start": start, "end": end})

    def timing(self) -> Json:
        if self.rng.random() < 0.5:
            return {"event": [self.instant() for _ in range(self.rng.choice((1, 2)))]}
        return {"repeat": {"boundsPeriod": self.period(), "frequency": 1, "period": 1, "periodUnit": "d"}}

    def name(self) -> Json:
        name: Json = {"family": self.rng.choice(FAMILIES), "given": self.rng.sample(GIVEN, self.rng.choice((1, 2)))}
        return name | self.rng.choice(({}, {"prefix": ["Dr."]}, {"suffix": ["Jr."]}, {"text": self.words()}))

    def address(self) -> Json:
        return {
            "use": self.rng.choice(("home", "work", "temp", "old")),
            "line": [f"{self.rng.randint(1, 99)} Main St.", "Apt #4"],
            "city": self.rng.choice(CITIES),
            "state": self.rng.choice(("MA", "NY")),
            "postalCode": self.rng.choice(("01440", "8001")),
            "country": self.rng.choice(("US", "CH")),
        }

    def contact(self) -> Json:
        if self.rng.random() < 0.5:
            return {"system": "email", "value": self.rng.choice(("Eve@example.org", "j.doe+x@example.com"))}
        return {"system": self.rng.choice(("phone", "fax")), "value": self.rng.choice(("(555) 123-4567", "+41 44.1"))}
