"""MongoDB's explanation of a query, in a few figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Document = dict[str, Any]


def summary(answer: Mapping[str, Any]) -> Document:
    """Indexes and stages of the winning plan (the outermost stage first), and what it examined."""
    statistics = answer["executionStats"]
    stages = list(_stages(statistics["executionStages"]))
    return {
        "indexes": list(dict.fromkeys(stage["indexName"] for stage in stages if "indexName" in stage)),
        "stages": list(dict.fromkeys(stage["stage"] for stage in stages)),
        "keysExamined": statistics["totalKeysExamined"],
        "documentsExamined": statistics["totalDocsExamined"],
        "returned": statistics["nReturned"],
        "milliseconds": statistics["executionTimeMillis"],
    }


def _stages(stage: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield stage
    inner = [stage["inputStage"]] if "inputStage" in stage else stage.get("inputStages", [])
    for one in inner:
        yield from _stages(one)
