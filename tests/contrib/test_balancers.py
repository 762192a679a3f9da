"""
The balancers: who gets how much, with seeded chance and a clock that is moved by hand.
"""

from __future__ import annotations

import math
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import heappop, heappush

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import NotInstalled
from remora._extensions._catalog import Catalog
from remora._extensions._registry import load_catalog
from remora.protocols import Balancer
from remora.testing import ManualClock

NAMES = [
    "round-robin",
    "random",
    "weighted-random",
    "least-connections",
    "least-latency",
    "consistent-hash",
    "priority",
    "p2c",
]


@dataclass(slots=True)
class Instance:
    """
    An instance as a balancer sees it.
    """

    name: str
    weight: int = 100
    priority: int = 1
    in_flight: int = 0
    warmth: float = 1.0


catalog = cache(load_catalog)


def make(name: str, clock: Callable[[], float] | None = None, seed: int = 7) -> Balancer:
    """
    A balancer by the name that the configuration uses.
    """
    return catalog().balancer(name).spec.build(clock or ManualClock(), random.Random(seed))


def call(balancer: Balancer, instances: Sequence[Instance], key: str = "", latency: float = 0.01) -> str:
    """
    One call that nothing else goes beside.
    """
    chosen = balancer.pick(instances, key)
    balancer.started(chosen)
    balancer.finished(chosen, latency=latency, ok=True)
    return chosen.name


def shares(balancer: Balancer, instances: Sequence[Instance], calls: int = 10_000, key: str = "") -> dict[str, float]:
    """
    The part of so many calls, one after the other, that each instance gets.
    """
    counts = Counter(call(balancer, instances, key) for _ in range(calls))
    return {each.name: counts[each.name] / calls for each in instances}


def trio(**fields: list[float]) -> list[Instance]:
    """
    Three instances with a value each for some of their fields.
    """
    return [
        Instance(name, **{field: values[index] for field, values in fields.items()})  # type: ignore[arg-type]
        for index, name in enumerate("abc")
    ]


def test_all_strategies_are_found_by_their_entry_point() -> None:
    """
    Through the same door as a stranger's.
    """
    catalog = load_catalog()

    assert [name for name in NAMES if catalog.balancer(name).origin.distribution == "remora-balancers"] == NAMES


def test_missing_balancers_name_the_extra() -> None:
    """
    Whoever configures one without them is told what to install.
    """
    with pytest.raises(NotInstalled, match=r'balancer "p2c" is not installed: pip install "remora\[balancers\]"'):
        Catalog().balancer("p2c")


def test_misspelt_balancer_is_corrected() -> None:
    """
    When they are installed, installing them again does not help.
    """
    with pytest.raises(NotInstalled, match=r'did you mean "round-robin"'):
        load_catalog().balancer("round-robbin")


@given(
    name=st.sampled_from(NAMES),
    instances=st.lists(
        st.builds(
            Instance,
            st.sampled_from("abcdefgh"),
            weight=st.integers(-1, 200),
            priority=st.integers(-5, 5),
            in_flight=st.integers(0, 50),
            warmth=st.floats(0, 1),
        ),
        min_size=1,
        max_size=8,
        unique_by=lambda each: each.name,
    ),
    keys=st.lists(st.text(max_size=4), max_size=10),
    ok=st.sampled_from([True, False, None]),
)
def test_pick_is_always_one_of_the_candidates(
    name: str, instances: list[Instance], keys: list[str], ok: bool | None
) -> None:
    """
    Whatever the weights, and never one of no weight beside one that has some.
    """
    balancer = make(name)
    for key in keys:
        chosen = balancer.pick(instances, key)
        balancer.started(chosen)
        balancer.finished(chosen, latency=0.0, ok=ok)
        balancer.forget(chosen.name)

        assert chosen in instances
        assert chosen.weight > 0 or all(each.weight <= 0 for each in instances)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("random", "weighted-random", "p2c")])
def test_equals_get_equal_shares(name: str) -> None:
    """
    Two percent at most between them, in the order of the configuration.
    """
    assert shares(make(name), trio()) == pytest.approx(dict.fromkeys("abc", 1 / 3), rel=0.02)


@pytest.mark.parametrize("name", ["random", "weighted-random", "p2c"])
def test_chance_is_fair(name: str) -> None:
    """
    Five percent between equals, over ten thousand calls.
    """
    assert shares(make(name), trio()) == pytest.approx(dict.fromkeys("abc", 1 / 3), rel=0.05)


class Highest(random.Random):
    """
    Chance at its limit.
    """

    def random(self) -> float:
        """
        The largest number below 1.
        """
        return 1 - 2**-53


def test_the_highest_draw_is_the_last_instance() -> None:
    """
    Also when the parts together are less than their sum, as these are.
    """
    balancer = catalog().balancer("random").spec.build(ManualClock(), Highest())

    assert "c" == balancer.pick(trio(weight=[34, 14, 33], warmth=[0.1, 0.7, 1.0]), "").name


@pytest.mark.parametrize(("weights", "expected"), [([0, 9, 1], "bc"), ([0, 9, 0], "b"), ([0, 0, 0], "abc")])
@pytest.mark.parametrize("name", NAMES)
def test_weight_0_gets_nothing_beside_some(name: str, weights: list[float], expected: str) -> None:
    """
    If nobody has more, all get some.
    """
    balancer, instances = make(name), trio(weight=weights)

    assert set(expected) == {call(balancer, instances, key=f"key {index}") for index in range(100)}


@pytest.mark.parametrize("name", ["round-robin", "random", "weighted-random", "least-connections"])
def test_shares_follow_the_weights(name: str) -> None:
    """
    Ten percent at most beside them.
    """
    expected = {"a": 0.5, "b": 0.3, "c": 0.2}

    assert shares(make(name), trio(weight=[50, 30, 20])) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("name", ["random", "weighted-random", "round-robin", "least-connections"])
def test_cold_instance_gets_less(name: str) -> None:
    """
    A tenth of its share while it is as cold as can be.
    """
    result = shares(make(name), trio(warmth=[1, 1, 0.1]))

    assert result["c"] == pytest.approx(0.1 / 2.1, rel=0.15)


@pytest.mark.parametrize("name", NAMES)
def test_newcomer_neither_floods_nor_starves(name: str) -> None:
    """
    One that joins after long gets no more than the others, and no less.
    """
    balancer = make(name)
    shares(balancer, [Instance("a"), Instance("b")], calls=5000)
    result = Counter(call(balancer, trio(), key=f"key {index}") for index in range(600))

    assert 130 <= result["c"] <= 270


@pytest.mark.parametrize("name", NAMES)
def test_one_that_is_left_out_for_a_while_does_not_catch_up(name: str) -> None:
    """
    Nor do the others, when it comes back.
    """
    balancer = make(name)
    shares(balancer, trio(), calls=300)
    shares(balancer, trio()[:2], calls=3000)
    result = Counter(call(balancer, trio(), key=f"key {index}") for index in range(600))

    assert 130 <= result["c"] <= 270


@pytest.mark.parametrize("number", [2, 3, 4])
def test_least_connections_takes_the_least_of_all(number: int) -> None:
    """
    With few instances nothing is left to chance.
    """
    instances = [Instance(f"{index}", in_flight=10 - index) for index in range(number)]
    balancer = make("least-connections")

    assert {call(balancer, instances) for _ in range(100)} == {f"{number - 1}"}


def test_least_connections_of_five_compares_two() -> None:
    """
    Each but the busiest may be the better one.
    """
    instances = [Instance(f"{index}", in_flight=10 - index) for index in range(5)]
    balancer = make("least-connections")

    assert {call(balancer, instances) for _ in range(100)} == {"1", "2", "3", "4"}


@pytest.mark.parametrize(("number", "expected"), [(2, {"1"}), (4, {"3"}), (5, {"1", "2", "3", "4"})])
def test_least_latency_compares_up_to_four_and_of_more_two(number: int, expected: set[str]) -> None:
    """
    As with the calls under way.
    """
    instances = [Instance(f"{index}") for index in range(number)]
    balancer = make("least-latency")
    for index, each in enumerate(instances):
        balancer.finished(each, latency=10.0 - index, ok=True)

    assert {balancer.pick(instances, "").name for _ in range(100)} == expected


def test_least_connections_of_many_avoids_the_busiest() -> None:
    """
    Of two that are drawn, the busiest is never the better.
    """
    instances = [Instance(f"{index}", in_flight=index) for index in range(10)]
    result = shares(make("least-connections"), instances)

    assert result["9"] == 0
    assert result["0"] == pytest.approx(0.2, rel=0.1)


def test_p2c_takes_the_less_busy_of_two() -> None:
    """
    Of three, the busiest gets nothing, and the idlest two pairs of three.
    """
    result = shares(make("p2c"), trio(in_flight=[0, 1, 2]))

    assert result == pytest.approx({"a": 2 / 3, "b": 1 / 3, "c": 0}, abs=0.02)


def test_least_latency_tries_a_newcomer_beside_a_fast_one() -> None:
    """
    Once, and again while it does well.
    """
    balancer = make("least-latency")
    for _ in range(100):
        call(balancer, [Instance("a")], latency=0.001)
    chosen = balancer.pick([Instance("a"), Instance("b")], "")

    assert chosen.name == "b"


def test_least_latency_sends_one_call_at_a_time_to_a_newcomer() -> None:
    """
    Until its first answer.
    """
    balancer = make("least-latency")
    call(balancer, [Instance("a")])

    assert balancer.pick([Instance("a"), Instance("b", in_flight=1)], "").name == "a"


@pytest.mark.parametrize("is_new", [True, False], ids=["from the beginning", "later"])
def test_least_latency_leaves_one_that_hangs(is_new: bool) -> None:
    """
    Also when nobody waits so long that a call fails: those that are given up tell how long they were waited for.
    """
    clock = ManualClock()
    balancer = make("least-latency", clock)
    instances = [Instance("a"), Instance("b")]
    for each in instances[is_new:]:
        balancer.finished(each, latency=0.001, ok=True)
    chosen = Counter[str]()
    for _ in range(100):
        name = balancer.pick(instances, "").name
        chosen[name] += 1
        clock.advance(0.5 if name == "a" else 0.001)
        balancer.finished(Instance(name), latency=0.5 if name == "a" else 0.001, ok=None if name == "a" else True)

    assert 1 == chosen["a"]


def test_least_latency_comes_back_to_one_that_was_slow() -> None:
    """
    What is old fades.
    """
    clock = ManualClock()
    balancer = make("least-latency", clock)
    instances = [Instance("a"), Instance("b")]
    balancer.finished(instances[0], latency=0.01, ok=True)
    balancer.finished(instances[1], latency=10, ok=True)
    chosen = set()
    for _ in range(120):
        clock.advance(1)
        chosen.add(call(balancer, instances))

    assert chosen == {"a", "b"}


@pytest.mark.parametrize(
    ("history", "in_flight", "expected"),
    [
        ([(0, 2.0, True)], 0, 2.0),
        ([(0, 2.0, True)], 2, 6.0),
        ([(0, 0.001, False)], 0, 5.0),
        ([(0, 7.0, False)], 0, 7.0),
        ([(0, 1.0, True), (10, 0.0, None)], 0, math.exp(-1)),
        ([(0, 1.0, True), (10, 0.1, True)], 0, 0.1 + 0.9 * math.exp(-1)),
        ([(0, 1.0, True), (10, 0.0, True), (10, 0.0, None)], 0, math.exp(-2)),
        ([(0, 1.0, True), (10, 2.0, True)], 0, 2.0),
        ([(0, 1.0, True), (0, 0.9, None)], 0, 1.0),
        ([(0, 1.0, True), (0, 1.1, None)], 0, 1.1),
        ([(0, 1.0, True), (10, 0.5, None)], 0, 0.5),
        ([(0, 1.0, True), (0, 2.0, None), (0, 0.1, True)], 0, 2.0),
        ([(0, 3.0, None)], 0, 3.0),
        ([(0, 3.0, None), (0, 4.0, None), (0, 0.1, True)], 0, 0.1),
        ([(0, 3.0, None), (0, 4.0, None)], 1, 10.0),
        ([], 1, 10.0),
    ],
)
def test_least_latency_expects_what_it_has_seen(
    history: list[tuple[float, float, bool | None]], in_flight: int, expected: float
) -> None:
    """
    For each call, when it ended after the one before, how long it took, and how; None stands for one given up.
    """
    for factor, name in ((0.99, "b"), (1.01, "a")):
        clock = ManualClock()
        balancer = make("least-latency", clock)
        one, other = Instance("a", in_flight=in_flight), Instance("b")
        for seconds, latency, ok in history:
            clock.advance(seconds)
            balancer.finished(one, latency=latency, ok=ok)
        balancer.finished(other, latency=expected * factor, ok=True)

        assert name == balancer.pick([one, other], "").name


def test_consistent_hash_sends_a_key_to_one_place() -> None:
    """
    Whatever the order of the instances, in every process.
    """
    keys = [f"user {index}" for index in range(300)]
    one, other = make("consistent-hash", seed=1), make("consistent-hash", seed=2)
    first = [call(one, trio(), key) for key in keys]

    assert first == [call(other, trio()[::-1], key) for key in keys]
    assert Counter(first) == pytest.approx(dict.fromkeys("abc", 100), rel=0.25)


def test_consistent_hash_moves_only_the_keys_of_who_comes() -> None:
    """
    From five to six instances a sixth of the keys moves, all of them to the sixth.
    """
    balancer = make("consistent-hash")
    six = [Instance(f"{index}") for index in range(6)]
    keys = [f"user {index}" for index in range(10_000)]
    moved = Counter[str]()
    for key in keys:
        before, after = call(balancer, six[:5], key), call(balancer, six, key)
        moved[after] += before != after

    assert moved["5"] == moved.total() == pytest.approx(10_000 / 6, rel=0.1)


def test_consistent_hash_follows_the_weights() -> None:
    """
    Half the weight, half the keys.
    """
    balancer = make("consistent-hash")
    result = Counter(call(balancer, trio(weight=[5, 4, 1]), f"user {index}") for index in range(10_000))

    assert result == pytest.approx({"a": 5000, "b": 4000, "c": 1000}, rel=0.1)


def test_consistent_hash_takes_any_text() -> None:
    """
    Also such as stands for bytes that are no text, in keys and in names.
    """
    balancer = make("consistent-hash")
    odd = [Instance("/run/\udcff"), Instance("/run/\udcfe")]

    assert len({call(balancer, odd, f"\udc80{index}") for index in range(30)}) == 2


def test_consistent_hash_remembers_no_long_keys() -> None:
    """
    They may be as long as a header, and each is another: 2,000 of 16 KiB would take 32 MiB.
    """
    balancer = make("consistent-hash")
    instances = [Instance("a"), Instance("b")]
    tracemalloc.start()
    try:
        chosen = [balancer.pick(instances, f"{number:016384}").name for number in range(2_000)]
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert kept < 4 << 20
    assert chosen == [make("consistent-hash").pick(instances, f"{number:016384}").name for number in range(2_000)]
    assert {"a", "b"} == set(chosen)


def test_consistent_hash_passes_on_what_is_too_much() -> None:
    """
    One key that everybody asks for does not drown its instance; the calls go to the same second one.
    """
    balancer = make("consistent-hash")
    instances = trio()
    chosen = []
    for _ in range(60):
        chosen.append(balancer.pick(instances, "everybody's"))
        chosen[-1].in_flight += 1
    loads = sorted(each.in_flight for each in instances)

    assert loads[2] <= 1.25 * 20 + 1
    assert chosen[:8] == [chosen[0]] * 8


@pytest.mark.parametrize(
    ("load", "others", "gets_it"),
    [(7, 0, True), (8, 0, False), (9, 14, True), (10, 13, False), (10, 14, True), (11, 13, False)],
)
def test_consistent_hash_counts_the_new_call_too(load: int, others: int, gets_it: bool) -> None:
    """
    One of three may have five twelfths of all calls, rounded up; eight are never too many.
    """
    balancer = make("consistent-hash")
    favourite = balancer.pick(trio(), "key").name
    instances = [Instance(name, in_flight=load if name == favourite else others // 2) for name in "abc"]
    next(each for each in instances if each.name != favourite).in_flight += others % 2

    assert gets_it == (balancer.pick(instances, "key").name == favourite)


@pytest.mark.parametrize(("is_forgotten", "expected"), [(False, "b"), (True, "a")])
@pytest.mark.parametrize("name", ["round-robin", "least-connections", "least-latency", "consistent-hash", "priority"])
def test_one_that_is_forgotten_has_had_no_turn(name: str, is_forgotten: bool, expected: str) -> None:
    """
    Nor has it ever been slow.
    """
    balancer = make(name)
    for _ in range(2):
        call(balancer, [Instance("a")], latency=10)
    if is_forgotten:
        balancer.forget("a")

    assert expected == call(balancer, [Instance("a"), Instance("b")])


def test_priority_falls_over_and_back() -> None:
    """
    The best group takes all, as long as one of it can.
    """
    balancer = make("priority")
    instances = trio(priority=[1, 2, 2])

    assert shares(balancer, instances) == pytest.approx({"a": 0, "b": 0.5, "c": 0.5})
    assert call(balancer, instances[:1]) == "a"
    assert shares(balancer, instances[:2]) == {"a": 0, "b": 1}


SERVICE = {"slow": (0.4, True), "failing": (0.001, False), "healthy": (0.02, True)}


def simulate(balancer: Balancer, clock: ManualClock, calls: int = 20_000) -> dict[str, float]:
    """
    The shares of three instances, one slow, one that fails fast, one healthy, at a hundred calls a second.
    """
    rng = random.Random(11)
    instances = {name: Instance(name) for name in SERVICE}
    ends: list[tuple[float, int, str]] = []
    counts = Counter[str]()
    for number in range(calls):
        clock.advance(rng.expovariate(100))
        while ends and ends[0][0] <= clock.now:
            _, _, name = heappop(ends)
            instances[name].in_flight -= 1
            balancer.finished(instances[name], latency=SERVICE[name][0], ok=SERVICE[name][1])
        chosen = balancer.pick(list(instances.values()), "")
        chosen.in_flight += 1
        balancer.started(chosen)
        counts[chosen.name] += 1
        heappush(ends, (clock.now + SERVICE[chosen.name][0], number, chosen.name))
    return {name: counts[name] / calls for name in SERVICE}


def test_least_latency_leaves_slow_and_failing_instances_alone() -> None:
    """
    Failing fast attracts nobody.
    """
    clock = ManualClock()
    result = simulate(make("least-latency", clock), clock)

    assert result["failing"] < 0.01
    assert result["slow"] < 0.1
    assert result["healthy"] > 0.9


@pytest.mark.parametrize("name", ["least-connections", "p2c"])
def test_looking_at_calls_under_way_spares_the_slow_one_only(name: str) -> None:
    """
    What fails fast looks idle: leaving it alone is the circuit breaker's business.
    """
    clock = ManualClock()
    result = simulate(make(name, clock), clock)

    assert result["slow"] < 0.2
    assert result["failing"] > result["slow"]
