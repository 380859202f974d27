"""What the chaos tests believe: not our records, but what the user's code itself did.

The trees that are deployed write each begin and end of a task to a trace file. The exclusive module
takes a lock of the kernel before it answers, and writes who answers: of two of them, the first must
be gone, or stopped, when the second is asked, and never answer again. The judge reads those, and
the process table. It imports nothing of the product.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import psutil

from tests.support.leaks import MARK

TREES = """
import fcntl, json, os, threading, time
from rootward import CommandModule, ModuleBase, ServerModule

FOLDER = {folder!r}
HELD, TAKING = [], threading.Lock()

def note(*words):
    line = json.dumps([time.time(), os.getpid(), *words]) + chr(10)
    with open(FOLDER + '/trace', 'ab', buffering=0) as trace:
        trace.write(line.encode())

def holder(file):
    inode = str(os.fstat(file.fileno()).st_ino)
    for line in open('/proc/locks'):
        words = line.split()
        if words[1] == 'POSIX' and words[-3].rpartition(':')[2] == inode:
            return words[-4]

def is_stopped(pid):
    try:
        return open('/proc/%s/stat' % pid).read().rpartition(')')[2].split()[0] == 'T'
    except OSError:
        return False

def hold(version):
    # Of the process, not of the file; closing any of its files would let go of it.
    lock = open(FOLDER + '/lock-%d' % version, 'ab')
    patience = time.monotonic() + 2
    while not HELD:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            HELD.append(lock)
        except OSError:
            other = holder(lock)
            if is_stopped(other):
                # It answers nobody now, and must not when it goes on.
                return
            if time.monotonic() > patience:
                note('doubled', version, other)
                HELD.append(lock)
            time.sleep(0.01)

class Leaf(ModuleBase):
    def __init__(self, run, name, pause):
        super().__init__(name=name)
        self.run, self.pause, self.weight = run, pause, 0
    def _get_train_tasks(self):
        return self.train
    def train(self):
        note('begin', self.run, self.name)
        time.sleep(self.pause)
        self.weight += 3
        note('end', self.run, self.name)

class Poison(Leaf):
    def train(self):
        note('begin', self.run, self.name)
        os.kill(os.getpid(), 9)

class Top(ModuleBase):
    def __init__(self, run, leaves):
        super().__init__(name='top')
        self.run, self.leaves = run, leaves
    def _get_train_tasks(self):
        return self.train
    def train(self):
        note('begin', self.run, 'top')
        note('total', self.run, sum(leaf.weight for leaf in self.leaves))
        note('end', self.run, 'top')

def job(run, leaves=3, pause=0.1, poison=False):
    last = [Poison(run, 'poison', 0)] if poison else []
    return Top(run, [Leaf(run, 'leaf%d' % i, pause) for i in range(leaves)] + last)

class Back(ModuleBase):
    def __init__(self, version):
        super().__init__(name='backer')
        self.version = version
    def forward(self, x):
        with TAKING:
            if not HELD:
                hold(self.version)
        note('answered', self.version)
        return [x, self.version, os.getpid()]

class Front(ModuleBase):
    def __init__(self, version):
        super().__init__(name='fronter')
        self.back = ServerModule(Back(version), name='back', exclusive=True)
        # Behind a shell, which has started it and stays.
        server = '"$0" -m http.server "$1" --bind "$2"; exit 1'
        command = ['sh', '-c', server, '{{python}}', '{{port}}', '{{host}}']
        self.foreign = CommandModule(command, name='foreign', startup_timeout=60)
    def forward(self, x):
        return self.back(x)

def live(version):
    return ServerModule(Front(version), name='live', replicas=2)
"""


class Owners:
    """Who has answered for each exclusive module, in order: who was followed stays silent."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        self._gone: set[tuple[int, int]] = set()

    def answered(self, version: int, pid: int) -> list[str]:
        """Take an answer; say what is wrong with it."""
        last = self._last.get(version, pid)
        self._last[version] = pid
        if last == pid:
            return []
        self._gone.add((version, last))
        if (version, pid) in self._gone:
            return [f"process {pid} answered for {version} after {last} had followed it"]
        return []


class Trace:
    """The trace file of one folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "trace"
        (folder / "witnessed.py").write_text(TREES.format(folder=str(folder)))
        self.path.touch()

    def violations(self, finished: dict[str, int]) -> list[str]:
        """Judge all that was written; `finished` maps the runs that succeeded to their leaves."""
        begins: dict[str, list[str]] = defaultdict(list)
        ends: dict[str, set[str]] = defaultdict(set)
        totals: dict[str, list[int]] = defaultdict(list)
        owners = Owners()
        wrong = []
        for line in self.path.read_text().splitlines():
            _, pid, what, *words = json.loads(line)
            if what == "doubled":
                wrong.append(f"a second exclusive replica answered: process {pid}, {words}")
            elif what == "answered":
                wrong += owners.answered(words[0], pid)
            elif what == "begin":
                run, task = words
                begins[run].append(task)
                if task == "top" and run in finished and len(ends[run]) < finished[run]:
                    wrong.append(f"{run}: top began when only {sorted(ends[run])} had ended")
            elif what == "end":
                ends[words[0]].add(words[1])
            elif what == "total":
                totals[words[0]].append(words[1])
        for run, leaves in finished.items():
            if "top" not in ends[run]:
                wrong.append(f"{run}: was called ready, but its last task never ended")
            if set(totals[run]) != {3 * leaves}:
                wrong.append(f"{run}: the weights add up to {totals[run]}, not {3 * leaves}")
        return wrong


def holders(path: Path) -> set[int]:
    """Return the processes that hold a lock on the file, by the kernel's own list."""
    if not path.exists():
        return set()
    inode = str(path.stat().st_ino)
    found = set()
    for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
        # 1: POSIX  ADVISORY  WRITE 18860 fe:00:2212245 0 EOF; who waits has an arrow before.
        _, kind, *_, pid, file, _, _ = line.split()
        if kind == "POSIX" and file.rpartition(":")[2] == inode:
            found.add(int(pid))
    return found


def ownerless(mark: str, owners: set[int]) -> list[str]:
    """Return the marked processes that none of the owners is, or is above of."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) != mark or process.status() == psutil.STATUS_ZOMBIE:
                continue
            line = {process.pid, *(parent.pid for parent in process.parents())}
            if not line & owners:
                found.append(f"{process.pid}: {' '.join(process.cmdline())}")
        except psutil.Error:
            # It ended while it was looked at, or belongs to someone else.
            continue
    return found
