"""Starts and stops what is measured, sends load, and measures in interleaved rounds.

Core 1 belongs to the proxy, core 0 to load generator and upstream. Within a round every proxy has its turn, and the order is
turned around from round to round, so that a machine that speeds up or slows down does so for all. Ratios are taken inside a
round; what is reported is their median.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import counting, machine
from .peers import Peer, Peers
from .setup import TOOLS, say

CONNECTIONS = 64


@dataclass(frozen=True)
class Load:
    """What is asked for. A rate makes it an open loop."""

    path: str = "/"
    rate: int = 0
    http2: bool = False
    vary: bool = False  # no request like the one before, and no reply


@dataclass
class Running:
    """A peer that runs."""

    peer: Peer
    pid: int
    process: subprocess.Popen | None = None


class Bench:
    """One run of the benchmarks."""

    def __init__(self, programs, binary, rounds, seconds):
        self.programs, self.rounds_wanted, self.seconds = programs, rounds, seconds
        self.notes, self.raw, self.cleanup = [], {}, ExitStack()
        # In memory: the price of a disk is not what is measured. nginx's worker is another user, hence the mode.
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.scratch = Path(tempfile.mkdtemp(prefix="seaworthy-bench-", dir=memory))
        self.cleanup.callback(shutil.rmtree, self.scratch, ignore_errors=True)
        self.scratch.chmod(0o755)
        self.counters = counting.has_counters()
        self.upstream_port, unix = free_port(), self.scratch / "upstream.sock"
        self.upstream = self.spawn(
            [TOOLS, "upstream", "--port", str(self.upstream_port), "--unix", str(unix)], {0}, self.scratch / "upstream.out"
        )
        self.cleanup.callback(stop, self.upstream)
        self.peers = Peers(programs, binary, self.place, self.upstream_port, unix)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cleanup.close()

    def note(self, text):
        """Something that a reader of the report must know."""
        if text not in self.notes:
            say(text)
            self.notes.append(text)

    def has(self, program):
        """Whether a peer or tool is there; its absence is noted."""
        if program not in self.programs:
            self.note(f"{program} is not on this machine: what needs it is left out.")
        return program in self.programs

    def place(self, name):
        """A port and a folder for a peer."""
        folder = self.scratch / name
        folder.mkdir(exist_ok=True)
        return free_port(), folder

    def direct(self):
        """No proxy at all."""
        return Peer("direct", self.upstream_port, self.scratch)

    def spawn(self, command, cores, out):
        """Starts a program on its cores, in a session of its own, so that it can be stopped with all its children."""
        with open(out, "ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.scratch,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )

    @contextmanager
    def started(self, peer, wrapper=(), patience=20):
        """Runs a peer until it answers, and stops it at the end."""
        if not peer.command:
            yield Running(peer, self.upstream.pid)
            return
        if peer.file:
            (peer.folder / peer.file).write_text(peer.text)
        process = self.spawn([*wrapper, *peer.command], cores(peer.workers), peer.folder / "out")
        try:
            await_answer(peer, process, patience)
            yield Running(peer, process.pid, process)
        finally:
            stop(process)

    def pids(self, running):
        """All processes of a running peer."""
        return machine.tree(running.pid)

    def load(self, running, load, seconds=0.0, requests=0):
        """Sends load for a time or a number of requests. A run with failures is void."""
        command = load_command(self.programs, running.peer.port, load, seconds, requests)
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds + 300,
            preexec_fn=lambda: os.sched_setaffinity(0, {0}),
        )
        if run.returncode:
            raise RuntimeError(f"load on {running.peer.name}: {run.stderr.strip() or run.stdout.strip()}")
        result = h2load_result(run.stdout) if load.http2 else json.loads(run.stdout)
        if result["failed"] or not result["requests"]:
            raise RuntimeError(f"{running.peer.name} failed {result['failed']} of {result['requests']} requests")
        return result

    def rounds(self, title, peers, load):
        """Samples of all peers, one a round: name -> list."""
        samples = {peer.name: [] for peer in peers}
        with ExitStack() as stack:
            running = [stack.enter_context(self.started(peer)) for peer in peers]
            for number in range(self.rounds_wanted):
                say(f"{title}: round {number + 1} of {self.rounds_wanted}")
                for each in running if number % 2 == 0 else reversed(running):
                    samples[each.peer.name].append(self.sample(each, load))
        self.raw[title] = samples
        return samples

    def sample(self, running, load):
        """One measurement of one proxy: rate and latency as the client saw them, and what the proxy spent."""
        self.load(running, load, seconds=min(0.4, self.seconds))
        with counting.Instructions(self.pids(running), self.counters) as instructions:
            before = machine.Cpu.of(running.pid)
            result = self.load(running, load, seconds=self.seconds)
            spent = machine.Cpu.of(running.pid) - before
        if running.process:
            os.truncate(running.peer.folder / "out", 0)
        result["cpu_us"] = spent.total / result["requests"] * 1e6
        result["user_us"] = spent.user / result["requests"] * 1e6
        if instructions.count:
            result["kinstructions"] = instructions.count / result["requests"] / 1e3
        return result


def cores(workers):
    """Core 1 and up, or all when there are no more."""
    have = os.cpu_count() or 1
    return set(range(1, 1 + workers)) if have > workers else set(range(have))


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_answer(peer, process, patience):
    """Waits for the first 200. A peer that speaks HTTP/2 answers HTTP/1.1 or at least accepts."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if process.poll() is not None:
            said = (peer.folder / "out").read_text(errors="replace")[-600:]
            raise RuntimeError(f"{peer.name} ended with code {process.returncode}: {said}")
        if answers(peer):
            return
        time.sleep(0.0005)
    raise RuntimeError(f"{peer.name} did not answer within {patience} s")


def answers(peer):
    """Whether a request is answered with 200 now."""
    try:
        with socket.create_connection(("127.0.0.1", peer.port), 1) as client:
            client.settimeout(10)
            client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            reply = client.recv(4096)
            # A listener for HTTP/2 alone greets or hangs up.
            return reply.startswith(b"HTTP/1.1 200") or not reply.startswith(b"HTTP/1.1")
    except OSError:
        return False


def stop(process):
    """Ends a program and what it started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(10)


def load_command(programs, port, load, seconds, requests):
    """The load generator's command: our own, or h2load for HTTP/2."""
    if load.http2:
        amount = ["-n", str(requests)] if requests else ["-D", f"{round(seconds * 1000)}ms", "--warm-up-time=0"]
        return [programs["h2load"], "-t1", "-c8", "-m16", *amount, f"http://127.0.0.1:{port}{load.path}"]
    command = [str(TOOLS), "load", "--port", str(port), "--path", load.path, "--warm", "0"]
    command += ["--connections", str(CONNECTIONS), "--rate", str(load.rate), "--vary", str(int(load.vary))]
    return [*command, *(["--requests", str(requests)] if requests else ["--seconds", str(seconds)])]


def h2load_result(text):
    """What h2load measured."""
    done, failed = re.search(r"(\d+) succeeded, (\d+) failed", text).groups()
    rate = re.search(r"finished in \S+, ([\d.]+) req/s", text)[1]
    return {"requests": int(done), "failed": int(failed), "rate": float(rate)}
