"""The rows of the table: what is compared, and what is wanted of it."""
import math
import socket
import statistics
import subprocess
import time
from dataclasses import dataclass, replace

from . import counting, machine
from .bench import Load, load_command

MIB = 2**20


@dataclass
class Line:
    """One line of the table. `wanted` is a bound as (comparison, number); lines without one inform."""

    what: str
    values: list
    wanted: tuple | None = None
    unit: str = ""
    note: str = ""

    @property
    def value(self):
        """The median, or none when nothing could be measured."""
        return statistics.median(self.values) if self.values else None

    @property
    def reached(self):
        """Whether the bound is kept; none where there is nothing to judge."""
        if self.wanted is None or self.value is None:
            return None
        comparison, bound = self.wanted
        return self.value <= bound if comparison == "at most" else self.value >= bound


def ratios(samples, ours, theirs, key):
    """Ours by theirs, one ratio for each round that has both."""
    pairs = zip(samples[ours], samples[theirs])
    return [one[key] / other[key] for one, other in pairs if key in one and key in other]


def cost(bench, samples, ours, theirs, single, wanted, load=Load()):
    """What a request costs beside another proxy: instructions, or where they cannot be counted, what can."""
    against = f"{ours.name} / {theirs.name}"
    lines = [Line(f"instructions a request, {against}", ratios(samples, ours.name, theirs.name, "kinstructions"), wanted)]
    lines.append(Line(f"CPU time a request, {against}", ratios(samples, ours.name, theirs.name, "cpu_us")))
    if bench.counters:
        return lines
    lines[0].note = "no hardware counters on this machine"
    kinds = [(False, "")]
    if load == Load():
        # A proxy may remember what a connection said last; one that does has to be seen without it as well.
        kinds.append((True, ", no two requests of a connection alike"))
    for vary, what in kinds:
        counts = [counting.by_callgrind(bench, peer, replace(load, vary=vary)) for peer in (ours, single)]
        if all(counts):
            note = f"{counts[0]:.2f} / {counts[1]:.2f} thousand, counted by callgrind"
            lines.append(Line(f"instructions in user mode alone{what}, {against}", [counts[0] / counts[1]], note=note))
    calls = []
    for peer in (ours, theirs):
        with bench.started(peer) as running:
            calls.append(counting.syscalls(bench, running, load))
    if all(calls):
        note = f"{calls[0]:.2f} / {calls[1]:.2f}, counted by strace"
        lines.append(Line(f"system calls a request, {against}", [calls[0] / calls[1]], note=note))
    return lines


def proxying(bench):
    """Proxying and nothing else"""
    if not bench.has("nginx"):
        return []
    ours, nginx = bench.peers.seaworthy("bare"), bench.peers.nginx("nginx")
    samples = bench.rounds("proxying", [nginx, ours, bench.peers.relay()], Load())
    single = bench.peers.nginx("nginx-single", single=True)
    lines = cost(bench, samples, ours, nginx, single, ("at most", 0.75))
    bare = Line("requests/s, bare / nginx", ratios(samples, "bare", "nginx", "rate"), ("at least", 1.3))
    return [bare, *lines, *floor(samples, "bare", "nginx")]


def floor(samples, ours, theirs):
    """What a relay that knows no HTTP reaches in the same rounds: what a proxy can come near and not pass."""
    return [
        Line(f"requests/s, relay / {theirs}", ratios(samples, "relay", theirs, "rate")),
        Line(f"CPU time a request, relay / {theirs}", ratios(samples, "relay", theirs, "cpu_us")),
        Line(f"CPU time a request, {ours} / relay", ratios(samples, ours, "relay", "cpu_us")),
    ]


def full(bench):
    """Request id, trace context, response headers, metrics and a JSON access log"""
    wanted = {"nginx": 1.2, "nginx-hard": 1.5, "haproxy-hard": 2.0, "envoy-hard": 5.0}
    return beside_all(bench, bench.peers.seaworthy("full", full=True), wanted, 0.9)


def armour(bench):
    """All of row 2, and a limit for each client, bans, a breaker, a concurrency limit and security headers"""
    wanted = {"nginx": 1.15, "nginx-hard": 1.4, "haproxy-hard": 1.8, "envoy-hard": 5.0}
    return beside_all(bench, bench.peers.seaworthy("armour", full=True, armour=True), wanted, 0.95)


def beside_all(bench, ours, wanted, instructions):
    """requests/s beside every peer there is, and what a request costs beside nginx."""
    made = {
        "nginx": lambda: bench.peers.nginx("nginx"),
        "nginx-hard": lambda: bench.peers.nginx("nginx-hard", hard=True),
        "haproxy-hard": lambda: bench.peers.haproxy("haproxy-hard", hard=True),
        "envoy-hard": lambda: bench.peers.envoy("envoy-hard", hard=True),
    }
    peers = {name: make() for name, make in made.items() if bench.has(name.split("-")[0])}
    samples = bench.rounds(ours.name, [ours, *peers.values(), bench.peers.relay()], Load())
    lines = [
        Line(f"requests/s, {ours.name} / {name}", ratios(samples, ours.name, name, "rate"), ("at least", wanted[name]))
        for name in peers
    ]
    if "nginx" in peers:
        single = bench.peers.nginx("nginx-single", single=True)
        lines += cost(bench, samples, ours, peers["nginx"], single, ("at most", instructions))
    # The floor beside each peer says which of the bounds this machine leaves room for.
    lines += [Line(f"requests/s, relay / {name}", ratios(samples, "relay", name, "rate")) for name in peers]
    return lines


def latency(bench):
    """Added latency at a fixed 5,000 requests/s"""
    peers = [bench.direct(), bench.peers.seaworthy("bare"), bench.peers.seaworthy("full", full=True)]
    if bench.has("nginx"):
        peers.append(bench.peers.nginx("nginx"))
    samples = bench.rounds("latency", peers, Load(rate=5000))

    def added(name):
        return [one["p50_us"] - bare["p50_us"] for one, bare in zip(samples[name], samples["direct"])]

    if "nginx" not in samples:
        return [Line(f"added p50, {name}", added(name), unit=" µs") for name in ("bare", "full")]
    theirs = Line("added p50, nginx", added("nginx"), unit=" µs")
    bound = ("at most", round(theirs.value, 1))
    ours = [Line(f"added p50, {name}", added(name), bound, " µs", "wanted: nginx's") for name in ("bare", "full")]
    return [*ours, theirs]


def bodies(bench):
    """Replies of 64 KiB"""
    return beside_nginx(bench, "bodies", Load(path="/bytes/65536"), ("at least", 1.5))


def http2(bench):
    """HTTP/2 in front (prior knowledge, 8 connections of 16 streams)"""
    if not bench.has("h2load"):
        return []
    return beside_nginx(bench, "http2", Load(http2=True), ("at least", 1.4), http2=True)


def beside_nginx(bench, title, load, wanted, **options):
    """requests/s of both configurations beside nginx."""
    if not bench.has("nginx"):
        return []
    ours = [bench.peers.seaworthy("bare"), bench.peers.seaworthy("full", full=True)]
    samples = bench.rounds(title, [*ours, bench.peers.nginx("nginx", **options)], load)
    return [
        Line(f"requests/s, {peer.name} / nginx", ratios(samples, peer.name, "nginx", "rate"), wanted) for peer in ours
    ]


def unix_socket(bench):
    """The app on a unix socket"""
    peers = [bench.peers.seaworthy("tcp"), bench.peers.seaworthy("unix", unix=True)]
    samples = bench.rounds("unix socket", peers, Load())
    return [
        Line("requests/s, unix socket / loopback TCP", ratios(samples, "unix", "tcp", "rate"), ("at least", 1.15)),
        Line("CPU time a request, unix socket / loopback TCP", ratios(samples, "unix", "tcp", "cpu_us")),
        Line("instructions a request, unix socket / loopback TCP", ratios(samples, "unix", "tcp", "kinstructions")),
    ]


def memory(bench):
    """Memory and start"""
    peer, starts = bench.peers.seaworthy("idle", full=True), []
    for _ in range(10):
        begin = time.perf_counter()
        with bench.started(peer):
            starts.append((time.perf_counter() - begin) * 1e3)
    with bench.started(peer) as running:
        time.sleep(1)  # idle is what it is after start-up has settled
        idle = machine.rss(running.pid)
        grown = slow_reader(running)
    bench.raw["memory"] = {"starts_ms": starts, "idle_mib": idle, "slow_reader_mib": grown}
    return [
        Line("idle resident memory", [idle], ("at most", 25), " MiB"),
        Line("memory for a slow reader of 1 GiB", [grown], ("at most", 1), " MiB"),
        Line("exec to the first answer", starts, ("at most", 100), " ms"),
    ]


def slow_reader(running):
    """How far memory grows, in MiB, while a client that reads 400 KiB/s has asked for 1 GiB."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        client.settimeout(10)
        client.connect(("127.0.0.1", running.peer.port))
        before = most = machine.rss(running.pid)
        client.sendall(b"GET /bytes/1073741824 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until = time.monotonic() + 5
        while time.monotonic() < until:
            if not client.recv(8 * 1024):
                raise RuntimeError("the slow reader was cut off")
            most = max(most, machine.rss(running.pid))
            time.sleep(0.02)
    return most - before


def workers(bench):
    """Two workers beside one"""
    peers = [bench.peers.seaworthy(f"{count}-workers", workers=count) for count in (1, 2)]
    samples = bench.rounds("workers", peers, Load())
    wanted = ("at most", 1.05)
    one, two = (peer.name for peer in peers)
    lines = [Line("instructions a request, 2 workers / 1", ratios(samples, two, one, "kinstructions"), wanted)]
    lines.append(Line("CPU time a request, 2 workers / 1", ratios(samples, two, one, "cpu_us")))
    if not bench.counters:
        lines[0].note = "no hardware counters on this machine"
        counts = [counting.by_callgrind(bench, peer, Load()) for peer in peers]
        if all(counts):
            note = f"{counts[1]:.2f} / {counts[0]:.2f} thousand, counted by callgrind"
            lines.append(Line("instructions in user mode alone, 2 workers / 1", [counts[1] / counts[0]], note=note))
    with bench.started(peers[1]) as running:
        shares = [least_share(bench, running) for _ in range(max(5, bench.rounds_wanted // 2))]
    bench.raw["worker shares"] = shares
    least = [min(share) / sum(share) * 100 for share in shares]
    note = f"worst of {len(least)} loads: {math.floor(min(least))} %"
    return [*lines, Line("connections of the worker with fewer", least, ("at least", 40), " %", note)]


def least_share(bench, running):
    """How the connections of one load are spread over the workers' polls."""
    command = load_command(bench.programs, running.peer.port, Load(), 0.6, 0)
    load = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        counts = machine.connections_by_worker(running.pid, running.peer.port)
    finally:
        load.wait(30)
    return (counts + [0] * running.peer.workers)[: running.peer.workers]


def probes(bench):
    """Probes, beside nginx's `return 200` of an answer as long"""
    if not bench.has("nginx"):
        return []
    load, paced = Load(path="/health/live"), Load(path="/health/live", rate=10_000)
    ours, full, nginx = bench.peers.seaworthy("bare"), bench.peers.seaworthy("full", full=True), bench.peers.nginx("nginx")
    samples = bench.rounds("probes", [nginx, ours, full], load)
    at_pace = bench.rounds("probes at 10,000 a second", [nginx, ours, full], paced)
    lines = [Line(f"requests/s, {peer.name} / nginx", ratios(samples, peer.name, "nginx", "rate")) for peer in (ours, full)]
    lines += [Line(f"p50 at 10,000/s, {peer.name} / nginx", ratios(at_pace, peer.name, "nginx", "p50_us"), wanted)
              for peer, wanted in ((ours, ("at most", 1.0)), (full, None))]
    return lines + cost(bench, samples, ours, nginx, bench.peers.nginx("nginx-single", single=True), ("at most", 1.0), load)


ROWS = {1: proxying, 2: full, 3: latency, 4: bodies, 5: http2, 6: unix_socket, 7: memory, 8: workers, 9: probes, 10: armour}
