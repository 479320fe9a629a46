"""A brute-force oracle for FHIR R4 search, independent of the server's own search code.

    oracle = Oracle(resources, "http://localhost/fhir")     # resources: "Type/id" → JSON
    oracle.search("Patient", [("name", "eve")])             # → {"Patient/1", …}
    included(oracle, matches, [("_include", "Observation:subject")])
    out_of_order(oracle, "Patient", "-birthdate", keys)
    compare(search, resources, generate(Random(1), resources, 1000))

It imports the list of search parameters, the type definitions and the compartments, and nothing else of the server.
"""

from tests.oracle.agreement import Disagreement, compare, disagreement, included_otherwise
from tests.oracle.corpus import examples, synthea
from tests.oracle.generator import complete, generate, generate_includes
from tests.oracle.includes import included
from tests.oracle.oracle import BASE, Oracle, search
from tests.oracle.query import NotASearch
from tests.oracle.sorting import out_of_order, sort_values
from tests.oracle.synthetic import synthesize

__all__ = [
    "BASE",
    "Disagreement",
    "NotASearch",
    "Oracle",
    "compare",
    "complete",
    "disagreement",
    "examples",
    "generate",
    "generate_includes",
    "included",
    "included_otherwise",
    "out_of_order",
    "search",
    "sort_values",
    "synthea",
    "synthesize",
]
