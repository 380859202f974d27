"""How many replicas a service should have by its calls: bounds, ramps, bursts, noise, silence."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootward.modules.rpc.bounds import ReplicaBounds
from rootward.orchestrator.scaling.policy import Load, Past, decide, needed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ONE_TO_EIGHT = ReplicaBounds(lowest=1, highest=8)
NONE_TO_EIGHT = ReplicaBounds(lowest=0, highest=8)
ROUND_S = 0.5


class Service:
    """A simulated service: a round each half second, replicas that start after `start_s`.

    Calls that no ready replica has room for are held; `numbers` are the wanted replicas by time.
    """

    def __init__(
        self, bounds: ReplicaBounds, wanted: int | None = None, start_s: float = 0.0
    ) -> None:
        self.bounds, self.now = bounds, 1000.0
        self.wanted = bounds.first if wanted is None else wanted
        self.past = Past.begin(self.wanted, self.now)
        self.start_s = start_s
        self.ready_at = [self.now] * self.wanted
        self.numbers: list[tuple[float, int]] = []
        self.reasons: list[str] = []

    @property
    def ready(self) -> int:
        return sum(at <= self.now for at in self.ready_at)

    def run(self, seconds: float, calls: Callable[[float], float]) -> Service:
        """Let time go by under that many calls, by the seconds since now."""
        began = self.now
        while self.now < began + seconds:
            self.round(calls(self.now - began))
            self.now += ROUND_S
        return self

    def round(self, calls: float) -> None:
        load = Load(under_way=calls) if self.ready else Load(held=calls)
        decision, self.past = decide(self.bounds, self.past, load, self.wanted, self.now)
        if decision.wanted != self.wanted:
            self.numbers.append((self.now, decision.wanted))
            self.reasons.append(decision.why)
            more = decision.wanted - self.wanted
            self.ready_at += [self.now + self.start_s] * max(0, more)
            self.ready_at = sorted(self.ready_at)[: decision.wanted]
        self.wanted = decision.wanted

    @property
    def changes(self) -> list[int]:
        return [wanted for _, wanted in self.numbers]


def steady(calls: float) -> Callable[[float], float]:
    return lambda _: calls


def test_a_step_is_followed_in_the_same_round_and_left_after_a_minute() -> None:
    service = Service(ONE_TO_EIGHT).run(30, steady(1)).run(30, steady(10))
    assert service.numbers == [(1030.0, 3)]
    service.run(120, steady(1))
    assert service.changes == [3, 1]
    # The last round with ten calls was half a second before.
    assert service.numbers[1][0] == pytest.approx(1060 + 60, abs=2 * ROUND_S)
    assert service.reasons[0] == "10 calls under way, one replica for 4"
    assert service.reasons[1] == "no more than 1 needed for 60 s; now 1 calls under way"


def test_a_ramp_goes_up_and_down_without_turning_back() -> None:
    service = Service(ONE_TO_EIGHT)
    service.run(100, lambda s: s * 0.4).run(100, lambda s: 40 - s * 0.4).run(100, steady(0))
    peak = service.changes.index(max(service.changes))
    assert service.changes[: peak + 1] == sorted(service.changes[: peak + 1])
    assert service.changes[peak:] == sorted(service.changes[peak:], reverse=True)
    assert max(service.changes) == 8
    assert service.wanted == 1


def test_bursts_that_come_again_within_the_window_are_met_by_what_is_still_there() -> None:
    service = Service(ONE_TO_EIGHT).run(600, lambda s: 20 if s % 45 < 5 else 0)
    assert service.changes == [5]


def test_bursts_far_apart_cost_two_changes_each() -> None:
    service = Service(ONE_TO_EIGHT).run(900, lambda s: 20 if s % 300 < 5 else 0)
    assert service.changes == [5, 1] * 3


@pytest.mark.parametrize("seed", range(20))
def test_a_noisy_signal_does_not_let_replicas_come_and_go(seed: int) -> None:
    noise = random.Random(seed)
    service = Service(ONE_TO_EIGHT).run(1800, lambda _: max(0.0, noise.gauss(10, 2)))
    # Half an hour of some 10 calls that swing between 3 and 17: up to the peaks, seldom down.
    assert len(service.changes) < 20
    assert service.changes == sorted(service.changes) or min(service.changes[1:]) >= 3


def test_a_load_at_the_edge_of_one_replica_stays_with_it() -> None:
    service = Service(ONE_TO_EIGHT).run(600, lambda s: 4.3 if int(s) % 2 else 3.9)
    assert service.changes == []


@pytest.mark.parametrize("start_s", [0.0, 5.0, 45.0, 90.0])
def test_slow_starts_ask_for_no_more_than_the_calls_need(start_s: float) -> None:
    service = Service(ONE_TO_EIGHT, start_s=start_s).run(300, steady(18))
    assert service.changes == [5]
    asleep = Service(NONE_TO_EIGHT, wanted=0, start_s=start_s).run(200, steady(1))
    assert asleep.changes == [1]


def test_a_service_sleeps_when_nobody_has_called_and_wakes_at_the_first_call() -> None:
    service = Service(NONE_TO_EIGHT).run(10, steady(1)).run(400, steady(0))
    assert service.changes == [0]
    assert service.numbers[0][0] == pytest.approx(1010 + 300, abs=2 * ROUND_S)
    assert service.reasons == ["nobody has called for 300 s"]
    service.run(5, steady(10))
    assert service.changes == [0, 3]


def test_one_that_was_woken_by_somebody_else_stays_for_its_time() -> None:
    service = Service(NONE_TO_EIGHT, wanted=0).run(600, steady(0))
    assert service.changes == []
    service.wanted = 1
    service.run(299, steady(0))
    assert service.changes == []
    service.run(10, steady(0))
    assert service.changes == [0]


def test_a_controller_that_knows_nothing_of_before_only_waits_longer() -> None:
    service = Service(ONE_TO_EIGHT).run(30, steady(10))
    service.past = Past.begin(service.wanted, service.now)
    service.run(59, steady(1))
    assert service.changes == [3]
    service.run(5, steady(1))
    assert service.changes == [3, 1]


def test_narrower_bounds_are_kept_at_once() -> None:
    service = Service(ONE_TO_EIGHT).run(5, steady(30))
    assert service.wanted == 8
    service.bounds = ReplicaBounds(lowest=1, highest=3)
    assert service.run(1, steady(30)).wanted == 3
    service.bounds = ReplicaBounds(lowest=5, highest=9)
    assert service.run(1, steady(0)).wanted == 5
    assert service.reasons[-1] == "5 is the fewest of 5..9"


bounds = st.builds(
    lambda lowest, more, target, down, zero: ReplicaBounds(
        lowest=lowest,
        highest=max(1, lowest + more),
        target=target,
        down_after_s=down,
        zero_after_s=zero,
    ),
    lowest=st.integers(0, 5),
    more=st.integers(0, 20),
    target=st.floats(0.25, 50),
    down=st.floats(0.5, 120),
    zero=st.floats(0.5, 600),
)
loads = st.lists(st.one_of(st.just(0.0), st.floats(0, 2000)), min_size=1, max_size=80)


@given(bounds=bounds, calls=loads, start=st.integers(0, 30))
def test_whatever_comes_the_number_is_within_its_bounds_and_never_too_small(
    bounds: ReplicaBounds, calls: Sequence[float], start: int
) -> None:
    now, wanted, past = 0.0, start, Past.begin(start, 0.0)
    for each in calls:
        before = wanted
        load = Load(under_way=each)
        decision, past = decide(bounds, past, load, wanted, now)
        wanted = decision.wanted
        assert bounds.lowest <= wanted <= bounds.highest
        assert bool(decision.why) == (wanted != before)
        if each:
            # Within the tolerance, and never without one while somebody calls.
            room = wanted * bounds.target * 1.1 + 1e-3
            assert wanted == bounds.highest or each <= room
            assert wanted >= 1
        now += ROUND_S


@given(bounds=bounds, calls=loads)
def test_fewer_are_wanted_only_after_the_whole_time_of_fewer_calls(
    bounds: ReplicaBounds, calls: Sequence[float]
) -> None:
    now, wanted = 0.0, bounds.first
    past = Past.begin(wanted, now)
    seen: list[tuple[float, int]] = []
    for each in calls:
        load = Load(under_way=each)
        seen.append((now, min(needed(bounds, load), bounds.highest)))
        decision, past = decide(bounds, past, load, wanted, now)
        if 0 < decision.wanted < wanted:
            window = [need for at, need in seen if at > now - bounds.down_after_s]
            assert now >= bounds.down_after_s
            assert decision.wanted == max(bounds.first, *window)
        if not decision.wanted and wanted:
            quiet = math.ceil(bounds.zero_after_s / ROUND_S)
            assert not any(calls[max(0, len(seen) - quiet) : len(seen)])
        wanted = decision.wanted
        now += ROUND_S
    assert len(past.needs) <= bounds.highest
