"""Bundles of code: stored once, kept by the generations that use them, gone with the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.errors import IncompleteSubmission
from tests.support.scenes import Scene

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store

DIGEST = "ab" * 32
SEALED = b"RW1 a key id and the rest"
HEAD = SEALED[:6]
TRAIN = {"train:a": []}


def ttl(store: Store) -> list[int]:
    """Return the seconds that the bundle and its users have left (-1: they last, -2: gone)."""
    keys = [store.keys.bundle(DIGEST), store.keys.bundle_users(DIGEST)]
    return [store.clients.scripts.ttl(key) for key in keys]


def test_a_bundle_is_asked_for_by_its_digest_and_how_it_is_signed(store: Store) -> None:
    assert not store.bundles.holds(DIGEST, HEAD)
    assert store.bundles.get(DIGEST) is None
    store.bundles.put(DIGEST, SEALED)
    store.bundles.put(DIGEST, SEALED)
    assert store.bundles.get(DIGEST) == SEALED
    assert store.bundles.holds(DIGEST, HEAD)
    assert not store.bundles.holds(DIGEST, b"another key")
    assert ttl(store)[0] > 600


def test_a_bundle_that_nobody_uses_goes_by_itself_and_a_question_keeps_it_a_while(
    store: Store,
) -> None:
    store.bundles.put(DIGEST, SEALED)
    store.clients.scripts.expire(store.keys.bundle(DIGEST), 5)
    assert store.bundles.holds(DIGEST, HEAD)
    assert ttl(store)[0] > 600


def test_a_submission_without_its_bundle_is_refused_whole(store: Store) -> None:
    scene = Scene(store)
    with pytest.raises(IncompleteSubmission, match="bundle"):
        scene.submit(TRAIN, bundle=DIGEST)
    assert scene.state() == "gone"


def test_a_bundle_lasts_until_the_last_generation_that_uses_it_is_gone(store: Store) -> None:
    """That is the one whose history is kept longest, not the one that ends last."""
    scene = Scene(store)
    store.bundles.put(DIGEST, SEALED)
    scene.submit(TRAIN, name="one", bundle=DIGEST, history_s=5000.0)
    scene.submit(TRAIN, name="two", bundle=DIGEST, history_s=100.0)
    assert ttl(store) == [-1, -1]
    assert store.deployments.cancel("one", 1)
    assert ttl(store) == [-1, -1]
    assert store.deployments.cancel("two", 1)
    assert all(4900 < seconds <= 5000 for seconds in ttl(store))


def test_a_generation_that_is_resumed_keeps_its_bundle_again(store: Store) -> None:
    scene = Scene(store)
    store.bundles.put(DIGEST, SEALED)
    scene.submit(TRAIN, bundle=DIGEST)
    store.deployments.cancel("demo", 1)
    assert ttl(store)[0] > 0
    assert store.deployments.resume("demo", 1)
    assert ttl(store) == [-1, -1]
    assert scene.run_all() == ["train:a"]
    assert ttl(store)[0] > 0


def test_a_bundle_that_is_stored_again_while_it_is_used_stays(store: Store) -> None:
    """Under a new secret, say."""
    scene = Scene(store)
    store.bundles.put(DIGEST, SEALED)
    scene.submit(TRAIN, bundle=DIGEST)
    store.bundles.put(DIGEST, b"sealed with another key")
    assert store.bundles.get(DIGEST) == b"sealed with another key"
    assert ttl(store)[0] == -1


def test_a_generation_without_code_has_nothing_to_do_with_bundles(store: Store) -> None:
    scene = Scene(store)
    scene.submit(TRAIN)
    store.deployments.cancel("demo", 1)
    assert not store.clients.scripts.keys(f"{store.keys.bundle('')}*")
