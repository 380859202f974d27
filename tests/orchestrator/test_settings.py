"""The settings: defaults, checks, and what is said of a misspelt variable."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from rootward.orchestrator.settings import Secret, Settings, SettingsError, SettingsWarning, near


def test_an_empty_environment_gives_the_defaults() -> None:
    """Nothing has to be set, and an empty variable is one that isn't set."""
    for environ in ({}, {"REDIS_URL": "", "ROOTWARD_SECRET": "", "ROOTWARD_PREFIX": ""}):
        settings = Settings.from_environment(environ)
        assert settings == Settings()
        assert settings.redis_url is None
        assert settings.secret is None
        assert settings.prefix == "rootward"
        assert settings.lease_seconds == 10
        assert settings.state_limit == 16 * 1024 * 1024
        assert settings.host == "127.0.0.1"


def test_variables_are_read_and_options_win() -> None:
    """An option that is given wins over its variable; one that is None doesn't."""
    environ = {
        "REDIS_URL": "redis://somewhere:6380/2",
        "ROOTWARD_SECRET": "s",
        "ROOTWARD_LEASE_SECONDS": "2.5",
        "ROOTWARD_STATE_LIMIT": "64KiB",
        "ROOTWARD_LOG_FORMAT": "json",
        "ROOTWARD_HISTORY_DAYS": "0.5",
        "ROOTWARD_HOST": "10.0.0.7",
    }
    settings = Settings.from_environment(environ, prefix="mine", host=None, redis_url=None)
    assert settings == Settings(
        redis_url="redis://somewhere:6380/2",
        secret=Secret("s"),
        prefix="mine",
        lease_seconds=2.5,
        state_limit=65536,
        log_format="json",
        history_days=0.5,
        host="10.0.0.7",
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "http://localhost"),
        ("ROOTWARD_PREFIX", "a b"),
        ("ROOTWARD_PREFIX", "a:b"),
        ("ROOTWARD_LEASE_SECONDS", "soon"),
        ("ROOTWARD_LEASE_SECONDS", "-1"),
        ("ROOTWARD_LEASE_SECONDS", "nan"),
        ("ROOTWARD_STATE_LIMIT", "0"),
        ("ROOTWARD_STATE_LIMIT", "big"),
        ("ROOTWARD_LOG_FORMAT", "xml"),
        ("ROOTWARD_HISTORY_DAYS", "-1"),
        ("ROOTWARD_HOST", "a b"),
    ],
)
def test_a_bad_value_names_its_variable(variable: str, value: Any) -> None:
    """Whoever set it is told which one, and what it takes."""
    with pytest.raises(SettingsError, match=variable):
        Settings.from_environment({variable: value})


def test_a_bad_url_does_not_show_its_password() -> None:
    """The address may hold a password, so no part of it is repeated."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"REDIS_URL": "rdis://user:hunter2@host"})
    assert "hunter2" not in str(caught.value)


def test_a_misspelt_variable_is_a_warning_with_the_nearest_name() -> None:
    """A typing error must not pass for a default."""
    with pytest.warns(SettingsWarning, match="did you mean ROOTWARD_SECRET"):
        Settings.from_environment({"ROOTWARD_SECRT": "s"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Settings.from_environment({"ROOTWARD_SECRET": "s", "OTHER_SECRT": "x"})


def test_a_secret_shows_itself_to_nobody() -> None:
    """Neither its own repr nor that of the settings holds it."""
    settings = Settings(secret=Secret("hunter2"))
    assert settings.secret is not None
    assert settings.secret.reveal() == b"hunter2"
    assert "hunter2" not in repr(settings) + str(settings.secret) + f"{settings.secret}"


def test_near_finds_the_name_that_was_meant() -> None:
    """A few wrong letters or the wrong case, and nothing far-fetched."""
    assert near("STATUS", ["status", "stop"]) == "status"
    assert near("depoy", ["deploy", "doctor"]) == "deploy"
    assert near("xyzzy", ["deploy", "doctor"]) is None
