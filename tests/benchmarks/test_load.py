"""Counting: what is measured, what is failed, what is wrong."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.client import Answer
from benchmarks.load import Call, Load, Plan, percentile, retry_after, summary
from benchmarks.processes import Usage


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([1, 50, 99, 100]))
def test_percentile_is_a_value_with_enough_below(values: list[float], percent: int) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(v <= found for v in values) * 100 >= percent * len(values)
    assert sum(v < found for v in values) * 100 < percent * len(values)


def test_percentile_of_nothing() -> None:
    assert percentile([], 99) == 0


def call(reason: str | None, units: int = 1) -> Call:
    return Call(b"", lambda answer, thorough: reason, units)


def test_only_right_2xx_answers_count() -> None:
    load = Load(Plan(), Usage)
    load.take(call(None, 30), Answer(200, b"", b""), 0.010, False)
    load.take(call("other content"), Answer(200, b"", b""), 0.001, False)
    load.take(call(None), Answer(404, b"", b""), 0.001, False)
    load.roll()
    found = summary("read", 1, load)
    assert (found.requests, found.wrong, found.failed) == (1, {"other content": 1}, {"404": 1})
    assert found.p50 == 10.0
    assert found.units / found.rate == pytest.approx(30)


def test_the_median_is_over_whole_windows_after_the_warm_up() -> None:
    used = iter(
        [
            Usage(),
            Usage(1, 2),
            Usage(1, 2),
            Usage(2, 2.5),
            Usage(2, 2.5),
            Usage(3, 3),
            Usage(3, 3),
            Usage(9, 9),
            Usage(),
        ]
    )
    load = Load(Plan(seconds=2), lambda: next(used))
    for count in (500, 10, 20, 1):
        load.window.latencies.extend(array("d", [0.001] * count))
        load.window.units += count
        load.roll()
    for window, elapsed in zip(load.windows, (2.0, 2.0, 2.0, 0.5), strict=True):
        window.elapsed = elapsed
    found = summary("read", 1, load)
    assert (found.requests, found.rate) == (30, 7.5)
    assert (found.server_cpu, found.database_cpu) == (75.0, 37.5)


def test_a_window_without_an_answer_stays_open_as_long_as_patience_lasts() -> None:
    load = Load(Plan(patience=5), Usage)
    assert load.silent(4.9)
    assert not load.silent(5)
    load.take(call(None), Answer(200, b"", b""), 0.010, False)
    assert not load.silent(0)


@pytest.mark.parametrize(("server", "others"), [(1.0, 1.5), (0.0, 0.0)])
def test_what_others_used_is_known_when_the_server_is(server: float, others: float) -> None:
    load = Load(Plan(), Usage)
    window = load.window
    window.before, window.after = Usage(), Usage(server_cpu=server, database_cpu=0.5, machine_cpu=4)
    window.client_cpu = 1.0
    assert window.others == others


def test_a_short_run_is_measured_by_its_fullest_window() -> None:
    load = Load(Plan(), Usage)
    load.window.latencies.append(0.001)
    load.roll()
    assert summary("delete", 1, load).requests == 1


@pytest.mark.parametrize(
    ("value", "seconds"), [("3", 3.0), ("-1", 0.0), ("Fri, 31 Dec 1999 23:59:59 GMT", None), (None, None)]
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    head = b"" if value is None else f"\r\nRetry-After: {value}\r\n".encode()
    assert retry_after(Answer(503, head, b"")) == seconds
