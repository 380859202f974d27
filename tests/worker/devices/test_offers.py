"""What a worker may be started with, and which devices that makes."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from rootward.worker.devices.offers import (
    BadResource,
    SeenGpus,
    options_by_name,
    pools_given,
    seen_gpus,
)

if TYPE_CHECKING:
    from pathlib import Path

SMI = SeenGpus(source="nvidia-smi", devices=("0", "1", "2"), uuids=("GPU-aa1", "GPU-bb2", "GPU-c"))


def devices(resource: str, seen: SeenGpus | None = None) -> tuple[str, ...]:
    """Return the devices of the one resource of an option."""
    (pool,) = pools_given(options_by_name([resource]), seen=lambda: seen).values()
    return pool.devices


def test_devices_are_counted_named_or_found() -> None:
    assert devices("gpu=2") == ("0", "1")
    assert devices("gpu=0,3") == ("0", "3")
    assert devices("gpu=3,") == ("3",)
    assert devices("gpu=GPU-aa,GPU-b", SMI) == ("GPU-aa", "GPU-b")
    assert devices("gpu=auto", SMI) == ("0", "1", "2")
    assert devices("tpu=a") == ("a",)
    assert devices("memory=12.5") == devices("memory=100000") == devices("gpu=0") == ()


def test_a_number_takes_the_first_of_those_that_the_worker_sees() -> None:
    assert devices("gpu=2", SeenGpus(source="CUDA_VISIBLE_DEVICES", devices=("4", "7", "9"))) == (
        "4",
        "7",
    )


@pytest.mark.parametrize(
    ("resource", "seen", "words"),
    [
        ("gpu=0,7", SMI, "no device 7: nvidia-smi lists 0, 1, 2"),
        ("gpu=GPU-zz", SMI, "no device GPU-zz"),
        ("gpu=4", SMI, "not that many: nvidia-smi lists 3"),
        ("gpu=auto", None, "no GPU was found"),
        ("tpu=auto", SMI, "only gpu can be found out"),
        ("gpu=1,1", None, "1 is named twice"),
        ("gpu=,", None, "no device"),
        ("gpu=-1", None, "from 0 on"),
        ("gpu=nan", None, "from 0 on"),
        ("gpu=1;2", None, "neither an amount nor"),
        ("9=1", None, "can't be called '9'"),
    ],
)
def test_what_cannot_be_offered_is_an_error_that_names_it(
    resource: str, seen: SeenGpus | None, words: str
) -> None:
    with pytest.raises(BadResource) as error:
        devices(resource, seen)
    assert words in str(error.value)
    assert resource in str(error.value)


@pytest.mark.parametrize("texts", [["gpu"], ["gpu="], ["gpu=1", "gpu=2"]])
def test_an_option_without_its_form_is_an_error(texts: list[str]) -> None:
    with pytest.raises(BadResource):
        options_by_name(texts)


def test_programs_give_amounts_or_lists() -> None:
    pools = pools_given({"gpu": ["3"], "tpu": 2, "disk": 0.5}, seen=lambda: None)
    assert pools["gpu"].devices == ("3",)
    assert pools["tpu"].devices == ("0", "1")
    assert pools["disk"].amount == 500_000


def test_nvidia_smi_is_asked_unless_the_environment_says_what_is_visible(tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '0, GPU-1f'\necho '1, GPU-2e'\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    seen = seen_gpus({"PATH": f"{tmp_path}:/bin:/usr/bin"})
    assert seen == SeenGpus(source="nvidia-smi", devices=("0", "1"), uuids=("GPU-1f", "GPU-2e"))
    for visible, listed in [("2,5", ("2", "5")), ("", ()), ("-1", ()), ("1,-1,2", ("1",))]:
        found = seen_gpus({"PATH": str(tmp_path), "CUDA_VISIBLE_DEVICES": visible})
        assert found is not None
        assert found.devices == listed
    assert seen_gpus({"PATH": str(tmp_path / "none")}) is None
