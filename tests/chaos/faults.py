"""The faults of the chaos tests: each breaks one thing of a town, and mends no more than it must.

A fault draws all its chance from the generator that it is given, so that a seed tells the same
story again as far as the machine allows. It returns a word on what it hit.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import psutil
from redis.exceptions import RedisError

from tests.support.programs import rootward

if TYPE_CHECKING:
    from tests.chaos.town import Town
    from tests.support.programs import Program

Fault = Callable[["Town", Random], str]
PAUSE = threading.Event()
"""Never set: waiting for it is how a fault lasts."""


def any_worker(town: Town, random: Random) -> Program | None:
    running = [worker for worker in town.workers if worker.is_running]
    return random.choice(running) if running else None


def send(process: psutil.Process, number: signal.Signals) -> str:
    try:
        process.send_signal(number)
    except psutil.Error:
        return "nobody"
    return f"{number.name} to {process.pid}"


def below(town: Town, random: Random, depth: int) -> psutil.Process | None:
    """Return a process below a worker: at 1 its bare template, at 2 a template, at 3 a child."""
    worker = any_worker(town, random)
    if worker is None:
        return None
    found = []
    for process in town.below(worker):
        try:
            steps = [parent.pid for parent in process.parents()].index(worker.process.pid) + 1
        except (psutil.Error, ValueError):
            continue
        if steps == depth:
            found.append(process)
    return random.choice(sorted(found, key=lambda each: each.pid)) if found else None


def kill_worker(town: Town, random: Random) -> str:
    worker = any_worker(town, random)
    if worker is None:
        return "nobody"
    worker.process.kill()
    worker.process.wait(10)
    return worker.command[-1]


def kill_leader(town: Town, random: Random) -> str:
    with town.server() as server:
        leader = (server.get(f"{town.prefix}:controller") or b"").decode()
    for worker in town.workers:
        if worker.is_running and leader.startswith(worker.command[-1] + "-"):
            worker.process.kill()
            worker.process.wait(10)
            return leader
    return "nobody"


def drain_worker(town: Town, random: Random) -> str:
    worker = any_worker(town, random)
    if worker is None:
        return "nobody"
    worker.process.terminate()
    return worker.command[-1]


def end_worker_at_once(town: Town, random: Random) -> str:
    worker = any_worker(town, random)
    if worker is None:
        return "nobody"
    worker.process.terminate()
    PAUSE.wait(random.uniform(0.0, 0.5))
    worker.process.terminate()
    return worker.command[-1]


def freeze_worker(town: Town, random: Random) -> str:
    worker = any_worker(town, random)
    if worker is None:
        return "nobody"
    length = random.choice([0.3, 1.5, 3.5])
    worker.process.send_signal(signal.SIGSTOP)
    PAUSE.wait(length)
    worker.process.send_signal(signal.SIGCONT)
    return f"{worker.command[-1]} for {length} s"


def freeze_family(town: Town, random: Random) -> str:
    worker = any_worker(town, random)
    if worker is None:
        return "nobody"
    family = [psutil.Process(worker.process.pid), *town.below(worker)]
    length = random.choice([0.3, 3.5])
    for process in family:
        send(process, signal.SIGSTOP)
    PAUSE.wait(length)
    for process in family:
        send(process, signal.SIGCONT)
    return f"{worker.command[-1]} and {len(family) - 1} below for {length} s"


def cut_off_host(town: Town, random: Random) -> str:
    """Have a worker's host out of reach for longer than its lease; it comes back or it doesn't."""
    worker = any_worker(town, random)
    if worker is None:
        return "nobody"
    # As seen from elsewhere: connections stay, and nobody answers.
    family = [psutil.Process(worker.process.pid), *town.below(worker)]
    comes_back = random.random() < 0.5
    for process in family:
        send(process, signal.SIGSTOP)
    PAUSE.wait(2.5 * town.lease_s)
    for process in family:
        send(process, signal.SIGCONT if comes_back else signal.SIGKILL)
    return f"{worker.command[-1]} and {len(family) - 1} below, back: {comes_back}"


def kill_below(depth: int) -> Fault:
    def kill(town: Town, random: Random) -> str:
        process = below(town, random, depth)
        return "nobody" if process is None else send(process, signal.SIGKILL)

    return kill


def foreign(town: Town, random: Random) -> psutil.Process | None:
    """Return the shell or the server of a command."""
    found = []
    for worker in town.workers:
        for process in town.below(worker):
            try:
                if "http.server" in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
    return random.choice(sorted(found, key=lambda each: each.pid)) if found else None


def kill_foreign(town: Town, random: Random) -> str:
    process = foreign(town, random)
    return "nobody" if process is None else send(process, signal.SIGKILL)


def freeze_foreign(town: Town, random: Random) -> str:
    process = foreign(town, random)
    return "nobody" if process is None else send(process, signal.SIGSTOP)


def freeze_child(town: Town, random: Random) -> str:
    process = below(town, random, 3)
    return "nobody" if process is None else send(process, signal.SIGSTOP)


def kill_redis(town: Town, random: Random) -> str:
    os.kill(town.redis_pid(), signal.SIGKILL)
    away = random.choice([0.0, 0.5, 3.0])
    PAUSE.wait(away)
    town.restart_redis()
    return f"for {away} s"


def empty_redis(town: Town, random: Random) -> str:
    """Have Redis lose all that it knows, in the midst of everything or by a restart without it."""
    town.data_lost()
    if random.random() < 0.5:
        with town.server() as server:
            server.flushall()
        return "by FLUSHALL"
    os.kill(town.redis_pid(), signal.SIGKILL)
    away = random.choice([0.0, 0.5, 3.0])
    PAUSE.wait(away)
    town.restart_redis(forgets=True)
    return f"by a restart after {away} s"


def freeze_redis(town: Town, random: Random) -> str:
    process, away = town.redis_pid(), random.choice([0.2, 1.0, 3.5])
    os.kill(process, signal.SIGSTOP)
    PAUSE.wait(away)
    os.kill(process, signal.SIGCONT)
    return f"for {away} s"


def cut_connections(town: Town, random: Random) -> str:
    with town.server() as server:
        cut = server.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        cut += server.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    return f"{cut} connections"


def forget_scripts(town: Town, random: Random) -> str:
    with town.server() as server:
        server.script_flush()
    return "all"


def pause_clients(town: Town, random: Random) -> str:
    length = random.choice([200, 900])
    with town.server() as server:
        server.client_pause(length)
    return f"{length} ms"


def kill_submitter(town: Town, random: Random) -> str:
    run = town.submit(2)
    PAUSE.wait(random.uniform(0.0, 1.2))
    run.was_killed = True
    run.program.process.kill()
    run.program.process.wait(10)
    return run.name


def poison(town: Town, random: Random) -> str:
    return town.submit(2, poison=True, retries=random.choice([0, 1])).name


def redeploy(town: Town, random: Random) -> str:
    program = town.deploy()
    PAUSE.wait(random.uniform(0.0, 1.5))
    # The one who follows may go: the deployment goes on.
    if program.is_running and random.random() < 0.3:
        program.process.kill()
    return f"version {town.version}"


def cancel_and_resume(town: Town, random: Random) -> str:
    run = town.submit(3, pause=0.5)
    PAUSE.wait(random.uniform(0.5, 1.2))
    for word in ("cancel", "resume"):
        program = town.program(rootward(word, run.name), f"{word}-{run.name}")
        program.process.wait(30)
    # What was cancelled before it was stored, or after its end, is as it is.
    run.ends = ("ready", "cancelled")
    return run.name


def scale(town: Town, random: Random) -> str:
    """Ask for another number of replicas by hand, or for a range that follows the calls."""
    asked, fewest, most = random.choice(
        (("1", 1, 1), ("3", 3, 3), ("1..3", 1, 3), ("2..4", 2, 4), ("auto", 2, 2))
    )
    program = town.program(rootward("scale", "live", asked), "scale")
    if program.process.wait(30) == 0:
        town.fewest, town.most = fewest, most
    else:
        # Redis may have done it, and its answer be lost.
        town.fewest, town.most = min(fewest, town.fewest), max(most, town.most)
    return asked


KINDS: dict[str, Fault] = {
    "kill a worker": kill_worker,
    "kill the controller": kill_leader,
    "drain a worker": drain_worker,
    "end a worker at once": end_worker_at_once,
    "freeze a worker": freeze_worker,
    "freeze a worker and all below": freeze_family,
    "kill a bare template": kill_below(1),
    "kill a template": kill_below(2),
    "kill a slot or replica": kill_below(3),
    "freeze a slot or replica": freeze_child,
    "cut off a host": cut_off_host,
    "kill a foreign server": kill_foreign,
    "freeze a foreign server": freeze_foreign,
    "kill Redis": kill_redis,
    "empty Redis": empty_redis,
    "freeze Redis": freeze_redis,
    "cut all connections": cut_connections,
    "forget the scripts": forget_scripts,
    "pause all clients": pause_clients,
    "kill a submitter": kill_submitter,
    "submit a poison": poison,
    "deploy a new generation": redeploy,
    "cancel and resume": cancel_and_resume,
    "scale by hand": scale,
}
WEIGHTS = {
    "kill a slot or replica": 6,
    "kill a foreign server": 3,
    "cut all connections": 3,
    "forget the scripts": 2,
    "empty Redis": 0.5,
    "submit a poison": 0.5,
    "deploy a new generation": 0.7,
    "cancel and resume": 0.5,
}


def strike(town: Town, random: Random, kinds: list[str]) -> str:
    """Let one fault happen; return what it was."""
    kind = random.choices(kinds, [WEIGHTS.get(name, 1) for name in kinds])[0]
    own = Random(random.getrandbits(64))
    try:
        return f"{kind}: {KINDS[kind](town, own)}"
    except (RedisError, OSError) as error:
        return f"{kind}: missed ({error})"
