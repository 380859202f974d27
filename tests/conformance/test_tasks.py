"""How tasks run: order, outcomes, retries, replays and what a finish does to those that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.errors import IncompleteSubmission
from rootward.orchestrator.store.records.encoding import SMALL
from tests.support.scenes import LEASE_MS, Scene, done, failed, hasten_retries

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store

TREE = {
    "train:a": [],
    "train:b": [],
    "train:root": ["train:a", "train:b"],
    "join:train": ["train:root"],
    "deploy:a": ["join:train"],
    "deploy:root": ["deploy:a"],
}


def test_no_task_starts_before_all_it_waits_for_has_succeeded(store: Store) -> None:
    """Invariant 1: children run before parents, and joins take no worker."""
    scene = Scene(store)
    scene.submit(TREE)
    assert scene.run_all() == ["train:a", "train:b", "train:root", "deploy:a", "deploy:root"]
    assert set(scene.states().values()) == {"succeeded"}
    assert scene.state() == "ready"


def test_a_plan_is_not_seen_before_it_is_sealed(store: Store) -> None:
    scene = Scene(store)
    store.deployments.reserve("demo", "s")
    store.scripts.run("stage", [store.keys.staged("demo", 1, 0)], [60, b"0   1 7 0 1\ntrain:ax"])
    assert scene.exchange(limit=5).claims == ()
    assert store.deployments.get("demo") is None
    assert store.deployments.generation("demo", 1) is None


def test_a_submission_that_is_stored_in_part_is_refused_whole(store: Store) -> None:
    store.deployments.reserve("demo", "s")
    head = ["s", "", 0, 0, "", "", 60, "", "", "x-", b"plan", b"tree"]
    head += [b"0   1 7 0 1\ntrain:ax", "", 0, 1, "q"]
    store.scripts.run("stage", [store.keys.staged("demo", 1, 0)], [60, b"0   1 7 0 1\ntrain:bx"])
    keys = [store.keys.generation("demo", 1)]
    keys += [store.keys.staged("demo", 1, number) for number in range(2)]
    with pytest.raises(IncompleteSubmission, match="submit it again"):
        store.scripts.run("create", keys, ["demo", 1, *head])
    assert store.deployments.generation("demo", 1) is None


def test_a_submission_in_several_pieces_is_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rootward.orchestrator.store.deployments.TASKS_PER_PIECE", 2)
    scene = Scene(store)
    scene.submit(TREE)
    assert [task.id for task in store.tasks.of("demo", 1)] == list(TREE)
    assert scene.run_all() == ["train:a", "train:b", "train:root", "deploy:a", "deploy:root"]
    assert not list(store.clients.scripts.scan_iter(store.keys.staged("demo", 1, 0)[:-1] + "*"))


def test_nothing_of_a_sealed_submission_expires(store: Store) -> None:
    scene = Scene(store)
    scene.submit(TREE)
    client, keys = store.clients.scripts, store.keys
    jobs = [keys.job(task.job_id) for task in store.tasks.of("demo", 1)]
    lasting = [keys.name("demo"), keys.events("demo"), keys.generation("demo", 1), *jobs]
    lasting += [keys.part("demo", 1, part) for part in ("plan", "tree")]
    assert {client.ttl(key) for key in lasting} == {-1}


def test_a_join_that_waits_for_nothing_opens_at_once(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"join:train": [], "deploy:a": ["join:train"]})
    assert scene.run_all() == ["deploy:a"]


def test_the_same_submission_twice_is_one_generation(store: Store) -> None:
    scene = Scene(store)
    first, again = (store.deployments.reserve("demo", "s") for _ in range(2))
    assert first == again
    assert first.generation == 1
    number = scene.submit({"train:a": []}, generation=1)
    claim = scene.claim()
    scene.submit({"train:a": []}, generation=number)
    assert scene.exchange(limit=5).claims == ()
    assert scene.succeed(claim) == "accepted"
    assert scene.events().count("submitted") == 1


def test_a_second_finish_changes_nothing(store: Store) -> None:
    """Invariant 2: the barrier of a dependant falls once for each task."""
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": [], "train:c": ["train:a", "train:b"]})
    claims = scene.claim_all()
    for _ in range(3):
        scene.exchange(done(claims["train:a"]))
    assert scene.states()["train:c"] == "waiting"
    assert scene.succeed(claims["train:a"]) == "repeated"
    assert scene.succeed(claims["train:b"]) == "accepted"
    assert scene.claim().task == "train:c"


def test_a_finish_of_an_older_attempt_is_stale(store: Store) -> None:
    """Invariant 2: effects are accepted from one execution only."""
    scene = Scene(store)
    scene.submit({"train:a": []})
    first = scene.claim()
    assert store.tasks.hand_back(first.job_id, first.token)
    second = scene.claim()
    assert scene.succeed(first, states=[b"old"]) == "stale"
    assert scene.succeed(second, states=[b"new"]) == "accepted"
    assert store.tasks.states("demo", 1) == [b"new"]


def test_a_claim_brings_the_states_that_the_agent_has_not_seen(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": ["train:a"], "train:c": ["train:b"]})
    scene.succeed(scene.claim(), states=[b"1", b"2"])
    claim = scene.claim()
    assert (list(claim.states), claim.offset) == ([b"1", b"2"], 2)
    scene.succeed(claim, states=[b"3"])
    (claim,) = scene.exchange(limit=1, demo_1=2).claims
    assert (list(claim.states), claim.offset) == ([b"3"], 3)


def test_a_finish_and_a_claim_at_once_tell_the_states_of_others_first(store: Store) -> None:
    scene = Scene(store)
    scene.submit({f"train:{name}": [] for name in "abcd"})
    first, second = scene.claim(), scene.claim()
    scene.succeed(first, states=[b"1"])
    (claim,) = scene.exchange(done(second, states=[b"2"]), limit=1, demo_1=0).claims
    assert (list(claim.states), claim.offset) == ([b"1", b"2"], 2)
    (claim,) = scene.exchange(done(claim, states=[b"3"]), limit=1, demo_1=2).claims
    assert (list(claim.states), claim.offset) == ([b"3"], 3)


def test_a_failure_skips_what_waits_for_it_and_nothing_else(store: Store) -> None:
    scene = Scene(store)
    edges = {"train:a": [], "train:b": [], "train:c": ["train:a"], "train:d": ["train:c"]}
    scene.submit(edges)
    claims = scene.claim_all()
    assert scene.fail(claims["train:a"], "broken") == "accepted"
    assert scene.states() == {
        "train:a": "failed",
        "train:b": "running",
        "train:c": "skipped",
        "train:d": "skipped",
    }
    assert scene.state() == "progressing"
    scene.succeed(claims["train:b"])
    assert scene.state() == "failed"
    tasks = {task.id: task for task in store.tasks.of("demo", 1)}
    assert tasks["train:d"].reason == "train:a failed"
    assert tasks["train:a"].error is not None
    assert tasks["train:a"].error["message"] == "broken"
    record = store.deployments.generation("demo", 1)
    assert record is not None
    assert record.reason == "train:a failed"


def test_a_join_is_skipped_with_what_it_waits_for(store: Store) -> None:
    scene = Scene(store)
    scene.submit(TREE)
    scene.fail(scene.claim_all()["train:a"])
    assert scene.states()["join:train"] == "skipped"
    assert scene.states()["deploy:root"] == "skipped"


def test_a_long_chain_is_skipped_without_recursion(store: Store) -> None:
    edges = {f"train:m{i}": [f"train:m{i - 1}"] if i else [] for i in range(600)}
    scene = Scene(store)
    scene.submit(edges)
    scene.fail(scene.claim())
    assert scene.states()["train:m599"] == "skipped"
    assert scene.state() == "failed"


def test_a_wide_plan_is_stored_in_pieces_and_joined_once(store: Store) -> None:
    leaves = [f"train:m{i}" for i in range(1100)]
    scene = Scene(store)
    scene.submit(
        {**{leaf: [] for leaf in leaves}, "join:train": leaves, "deploy:a": ["join:train"]}
    )
    while claims := scene.exchange(limit=100).claims:
        scene.exchange(*map(done, claims))
    assert scene.state() == "ready"


def test_an_exchange_that_arrives_after_a_later_one_claims_nothing(store: Store) -> None:
    """Its answer has no reader: what it claimed would run nowhere."""
    scene = Scene(store)
    late = [store.tasks.next_request(), 1, 1, scene.queue, 0, 0]
    assert scene.exchange(limit=1).claims == ()
    scene.submit({"train:a": []})
    assert scene.send_exchange(late)[3:] == [0]
    assert scene.claim().task == "train:a"


def test_retries_count_exceptions_of_a_task(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []}, retries=2)
    attempts = []
    for _ in range(3):
        claim = scene.claim()
        attempts.append(claim.attempt)
        assert scene.fail(claim) == "accepted"
        assert scene.fail(claim) == "repeated"
        hasten_retries(store)
    assert attempts == [1, 2, 3]
    assert scene.states() == {"train:a": "failed"}
    assert scene.events().count("task.retried") == 2


def test_a_retry_waits_for_a_pause_that_doubles(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []}, retries=3)
    client, key = store.clients.scripts, f"rq:scheduled:{scene.queue}"
    for longest_s in (0.5, 1.0, 2.0):
        seconds, micros = client.time()
        scene.fail(scene.claim())
        assert scene.states() == {"train:a": "queued"}
        [(_, due)] = client.zrange(key, 0, -1, withscores=True)
        assert longest_s / 2 - 0.01 <= due - seconds - micros / 1e6 <= longest_s + 0.5
        assert scene.exchange(limit=1).claims == ()
        hasten_retries(store)
    assert client.zcard(key) == 0
    scene.fail(scene.claim())
    assert scene.state() == "failed"


def test_a_task_that_waits_to_be_tried_again_can_be_cancelled(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []}, retries=3)
    scene.fail(scene.claim())
    assert store.deployments.cancel("demo", 1)
    hasten_retries(store)
    assert scene.exchange(limit=1).claims == ()
    assert scene.states() == {"train:a": "cancelled"}


def test_a_failure_that_is_not_retryable_is_final(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []}, retries=2)
    scene.fail(scene.claim(), retryable=False)
    assert scene.state() == "failed"


def test_a_task_that_is_handed_back_counts_no_attempt(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    claim = scene.claim()
    assert store.tasks.hand_back(claim.job_id, claim.token)
    assert not store.tasks.hand_back(claim.job_id, claim.token)
    assert scene.claim().attempt == 1


def test_a_repeated_exchange_returns_the_claims_that_it_made(store: Store) -> None:
    """A reply that was lost loses no task: redis-py sends the same arguments again."""
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": []})
    args = [store.tasks.next_request(), 1, 1, scene.queue, 0, 0]
    first = scene.send_exchange(args)
    again = scene.send_exchange(args)
    assert first == again
    assert scene.claim().task == "train:b"


def test_an_exchange_after_an_error_finds_what_the_failed_one_claimed(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": []})
    store.tasks._unanswered[scene.agent] = request = store.tasks.next_request()
    scene.send_exchange([request, 1, 1, scene.queue, 0, 0])
    assert scene.claim().task == "train:a"
    assert scene.claim().task == "train:b"


def test_output_is_stored_before_the_finish_is_seen(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    claim = scene.claim()
    assert store.tasks.log(claim.job_id, claim.token, 1, [(1, "one\n")])
    assert store.tasks.log(claim.job_id, claim.token, 1, [(1, "one\n")])
    scene.succeed(claim, output=[(1, "two\n"), (2, "three\n")])
    lines = store.history.logs("demo", 1, path="a")
    assert [(line.fd, line.text) for line in lines] == [(1, "one\n"), (1, "two\n"), (2, "three\n")]
    assert not store.tasks.log(claim.job_id, claim.token, 2, [(1, "late")])
    assert store.history.logs("demo", 1, path="b") == []


def test_an_unknown_agent_gets_no_claims(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    answer = scene.exchange(limit=1, agent="nobody-1")
    assert not answer.known
    assert answer.claims == ()


def test_finish_needs_an_outcome(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    claim = scene.claim()
    finish = failed(claim)
    object.__setattr__(finish, "state", "running")
    with pytest.raises(ValueError, match="succeeded or failed"):
        scene.exchange(finish)
    assert scene.states() == {"train:a": "running"}


def test_an_empty_plan_is_ready_at_once(store: Store) -> None:
    scene = Scene(store)
    scene.submit({})
    assert scene.state() == "ready"
    assert store.deployments.active() == []


def test_the_bell_rings_for_released_tasks_and_carries_commands(store: Store) -> None:
    scene = Scene(store)
    cursors = store.agents.wait_bell(scene.agent, {}, 10).cursors
    assert not store.agents.wait_bell(scene.agent, cursors, 1).rung
    scene.submit({"train:a": []})
    assert store.agents.command(scene.agent, {"op": "drop", "n": 1})
    heard = store.agents.wait_bell(scene.agent, cursors, 1000)
    assert heard.rung
    assert heard.commands == ({"op": "drop", "n": 1},)
    assert not store.agents.wait_bell(scene.agent, heard.cursors, 1).rung
    assert not store.agents.command("nobody-1", {"op": "drop"})


def test_a_task_stays_small_in_memory_from_its_submission_to_its_end(store: Store) -> None:
    """A hash with a longer value loses its compact form, and never gets it back."""
    scene = Scene(store, agent="worker-of-host-1-0123456789ab")
    path = "root/" + "/".join(f"part{number}" for number in range(15))
    scene.submit({f"train:{path}": []})
    (task,) = store.tasks.of("demo", 1)
    # What `payload` makes is shorter than what stands for it here.
    store.clients.scripts.hset(store.keys.job(task.job_id), "data", b"x" * SMALL)

    def longest() -> int:
        found: dict[bytes, bytes] = store.clients.scripts.hgetall(store.keys.job(task.job_id))
        return max(map(len, found.values()))

    sizes = [longest()]
    claim = scene.claim()
    sizes.append(longest())
    assert store.agents.renew(scene.agent, LEASE_MS).running == 1
    sizes.append(longest())
    scene.succeed(claim)
    assert max([*sizes, longest()]) <= 64
    assert store.tasks.of("demo", 1)[0].path == path
    assert {event.path for event in store.history.events("demo") if event.task} == {path}


def test_the_ends_of_callables_are_kept_once_and_known_to_the_next_attempt(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    first = scene.claim()
    assert first.steps == 0
    for _ in range(2):
        assert store.tasks.keep_step(first.job_id, first.token, 1, [b"one"])
    assert store.tasks.keep_step(first.job_id, first.token, 2, [b"two", b"more"])
    assert store.tasks.hand_back(first.job_id, first.token)
    assert not store.tasks.keep_step(first.job_id, first.token, 3, [b"late"])
    again = scene.claim()
    assert (again.steps, list(again.states)) == (2, [b"one", b"two", b"more"])
    assert scene.succeed(again, states=[b"end"]) == "accepted"
    assert store.tasks.states("demo", 1) == [b"one", b"two", b"more", b"end"]
