"""What a worker is started with: `--resource gpu=2`, `gpu=0,3`, `gpu=auto`.

An amount is counted, devices are named, and `auto` (of `gpu` alone) asks the machine. The devices
of a worker are those that it can see itself: CUDA_VISIBLE_DEVICES where that is set, else what
nvidia-smi lists; without either, what was given is taken at its word. A GPU that isn't there is an
error that names it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rootward.modules.errors import RootwardError
from rootward.modules.needs.resources import amount_text, checked_name

from .allocation import GPU, DevicePool

_SMI = ("nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader")
_SMI_S = 20.0
_AUTO = "auto"


class BadResource(RootwardError):
    """A worker can't offer that; the message names the option and what is there instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenGpus:
    """The GPUs of this machine by index or by UUID, as `source` lists them."""

    source: str
    devices: tuple[str, ...]
    uuids: tuple[str, ...] = ()

    def lack(self, device: str) -> bool:
        """Whether there is none of that name."""
        if device in self.devices:
            return False
        # UUIDs may be shortened as long as they are clear.
        return not any(device.startswith("GPU-") and u.startswith(device) for u in self.uuids)


def options_by_name(texts: Iterable[str]) -> dict[str, str]:
    """Return options like `gpu=2` by the name of the resource; BadResource names a wrong one."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not value:
            raise BadResource(
                f"resource {text}: write NAME=AMOUNT, for example gpu=2, or name devices: gpu=0,3"
            )
        if name in found:
            raise BadResource(f"resource {text}: {name} was given before; name it once")
        found[name] = value
    return found


def pools_given(
    resources: Mapping[str, float | str | Sequence[str]],
    *,
    seen: Callable[[], SeenGpus | None] | None = None,
) -> dict[str, DevicePool]:
    """Return the pools of amounts, "auto" or devices by name; BadResource names a wrong one."""
    pools: dict[str, DevicePool] = {}
    for name, given in sorted(resources.items()):
        # A comma after the last makes one device a list of devices.
        value = str(given) if isinstance(given, (str, int, float)) else ",".join(given) + ","
        option = f"resource {name}={value}"
        try:
            checked_name(name)
        except ValueError as error:
            raise BadResource(f"{option}: {error}") from None
        pools[name] = _pool(option, name, value, seen or seen_gpus)
    return pools


def _pool(option: str, name: str, value: str, seen: Callable[[], SeenGpus | None]) -> DevicePool:
    if value == _AUTO:
        return DevicePool.named(_found(option, name, seen))
    amount = _amount(value)
    if amount is not None:
        pool = DevicePool.counted(_checked(option, amount))
        return pool if name != GPU or not pool.devices else _first(option, pool, seen())
    devices = [device.strip() for device in value.split(",") if device.strip()]
    doubled = {device for device in devices if devices.count(device) > 1}
    if doubled or not devices:
        raise BadResource(
            f"{option}: {min(doubled)} is named twice" if doubled else f"{option}: no device"
        )
    if "," not in value and not any(c.isalpha() for c in value):
        raise BadResource(f"{option}: {value!r} is neither an amount nor the name of a device")
    if name == GPU and (there := seen()) is not None:
        for device in devices:
            if there.lack(device):
                raise BadResource(
                    f"{option}: there is no device {device}: {there.source} lists "
                    f"{', '.join(there.devices) or 'none'}"
                )
    return DevicePool.named(devices)


def _amount(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _checked(option: str, amount: float) -> float:
    if not 0 <= amount <= 1e9:
        raise BadResource(f"{option}: an amount is a number from 0 on")
    return amount


def _first(option: str, pool: DevicePool, there: SeenGpus | None) -> DevicePool:
    """Return the first devices that this worker sees, as many as were asked for."""
    if there is None:
        return pool
    wanted = len(pool.devices)
    if wanted > len(there.devices):
        raise BadResource(
            f"{option}: there are not that many: {there.source} lists "
            f"{amount_text(len(there.devices))} ({', '.join(there.devices) or 'none'})"
        )
    return DevicePool.named(there.devices[:wanted])


def _found(option: str, name: str, seen: Callable[[], SeenGpus | None]) -> tuple[str, ...]:
    if name != GPU:
        raise BadResource(f"{option}: only {GPU} can be found out; give an amount or devices")
    there = seen()
    if there is None:
        raise BadResource(
            f"{option}: no GPU was found: there is no nvidia-smi that works here, and "
            "CUDA_VISIBLE_DEVICES isn't set; give a number (gpu=1) or devices (gpu=0,3)"
        )
    return there.devices


def seen_gpus(environment: Mapping[str, str] | None = None) -> SeenGpus | None:
    """Return the GPUs that this process can use; None when nothing tells."""
    env = os.environ if environment is None else environment
    visible = env.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return SeenGpus(source="CUDA_VISIBLE_DEVICES", devices=_listed(visible))
    try:
        done = subprocess.run(
            _SMI, capture_output=True, text=True, timeout=_SMI_S, check=True, env=dict(env)
        )
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.split(",") for line in done.stdout.splitlines() if line.strip()]
    return SeenGpus(
        source="nvidia-smi",
        devices=tuple(row[0].strip() for row in rows),
        uuids=tuple(row[1].strip() for row in rows if row[1:]),
    )


def _listed(visible: str) -> tuple[str, ...]:
    """Return the devices of CUDA_VISIBLE_DEVICES: an invalid one ends the list, as for CUDA."""
    devices: list[str] = []
    for device in (part.strip() for part in visible.split(",")):
        if not device or device.startswith("-") or device in devices:
            break
        devices.append(device)
    return tuple(devices)
