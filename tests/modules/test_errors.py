"""Errors travel between processes with what they carry."""

from __future__ import annotations

import copy
import pickle

import pytest

from rootward.modules import errors

SAMPLES = [
    errors.RootwardError("plain"),
    errors.NestedDeployment("it is being imported"),
    errors.CycleError(["A", "B", "A"]),
    errors.ServeFailed("a/b", "exit code 3", "line one\nline two"),
    errors.RemoteError("KeyError", "x", "Traceback"),
    errors.NotPortable("a/b", "lock"),
    errors.StateTooLarge("a/b", 2_000, 1_000),
]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_travels_whole(error: errors.RootwardError) -> None:
    error.add_note("a note")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
