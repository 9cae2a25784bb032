"""Instructions and system calls a request.

Instructions repeat within 2 % where requests/s drift by half, so they are what to steer by. The processor's own counters
see user and kernel; where a (virtual) machine has none, callgrind counts the user's part in a simulation, and strace
counts the calls that make up most of the kernel's.
"""
import re
import signal
import subprocess
import time

from .setup import which

WARM, COUNTED = 1_000, 10_000  # the second on top of the first


def has_counters():
    """Whether perf can count instructions in user and kernel here."""
    if not which("perf"):
        return False
    run = subprocess.run(
        ["perf", "stat", "-x,", "-e", "instructions:u,instructions:k", "true"], capture_output=True, text=True, timeout=20
    )
    return len(re.findall(r"^[1-9]\d*,,instructions", run.stderr, re.M)) == 2


class Instructions:
    """Instructions of some processes while the block runs; `count` stays at none when there are no counters."""

    def __init__(self, pids, available):
        self.pids, self.available, self.count = pids, available, None

    def __enter__(self):
        if self.available:
            pids = ",".join(map(str, self.pids))
            self.perf = subprocess.Popen(
                ["perf", "stat", "-x,", "-e", "instructions", "-p", pids], stderr=subprocess.PIPE, text=True
            )
            time.sleep(0.06)  # it has no way to say that it has begun
        return self

    def __exit__(self, *_):
        if self.available:
            self.perf.send_signal(signal.SIGINT)
            found = re.search(r"^(\d+),,instructions", self.perf.communicate(timeout=10)[1], re.M)
            self.count = int(found[1]) if found else None


def by_callgrind(bench, peer, load):
    """User instructions a request, in thousands; none without valgrind or when the peer does not run under it.

    Two loads of different length, of which the difference is counted: opening the connections costs both the same.
    """
    if not which("valgrind") or not which("vgdb"):
        return None
    out = bench.scratch / f"{peer.name}.callgrind"
    wrapper = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}"]
    try:
        with bench.started(peer, wrapper=wrapper, patience=90) as running:
            for requests in (WARM, WARM, WARM + COUNTED):
                bench.load(running, load, requests=requests)
                dump(running.pid)
    except (RuntimeError, subprocess.SubprocessError) as error:
        bench.note(f"{peer.name} could not be counted under callgrind: {error}")
        return None
    return (total(out, 3) - total(out, 2)) / COUNTED / 1e3


def total(out, part):
    """The instructions of one dump."""
    return int(re.search(r"^(?:totals|summary): (\d+)", out.with_name(f"{out.name}.{part}").read_text(), re.M)[1])


def dump(pid):
    """Has callgrind write what it counted since the last time."""
    subprocess.run(["vgdb", f"--pid={pid}", "dump"], check=True, capture_output=True, timeout=60)


def syscalls(bench, running, load):
    """System calls a request, or none without strace. strace slows the proxy down, so only the number is used."""
    if not which("strace"):
        return None
    pids = sum((["-p", str(pid)] for pid in bench.pids(running)), [])
    with open(bench.scratch / "strace", "w+") as table:
        strace = subprocess.Popen(["strace", "-f", "-c", "-q", *pids], stderr=table)
        try:
            time.sleep(0.5)
            done = bench.load(running, load, requests=COUNTED)["requests"]
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait(10)
        table.seek(0)
        total = re.search(r"^\s*100\.00\s+\S+\s+(?:\S+\s+)?(\d+)\s+(?:\d+\s+)?total", table.read(), re.M)
    return int(total[1]) / done if total else None
