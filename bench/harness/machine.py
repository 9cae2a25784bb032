"""What the machine says about itself and about running processes."""
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def tree(pid):
    """The process and everything below it."""
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = read(entry / "stat")
            if stat:
                parent = int(stat[stat.rindex(")") + 2 :].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def read(path):
    """A file of /proc, or nothing when its process is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""


@dataclass
class Cpu:
    """CPU time of a process tree, in seconds: all of it by the scheduler's clock, and what ticks saw of the user's part."""

    total: float
    user: float

    @staticmethod
    def of(pid):
        cpu = Cpu(0.0, 0.0)
        for each in tree(pid):
            process = Path(f"/proc/{each}")
            stat = read(process / "stat")
            if stat:
                cpu.user += int(stat[stat.rindex(")") + 2 :].split()[11]) / TICK
            for thread in process.glob("task/*/schedstat"):
                spent = read(thread).split()
                cpu.total += int(spent[0]) / 1e9 if spent else 0.0
        return cpu

    def __sub__(self, other):
        return Cpu(self.total - other.total, self.user - other.user)


def rss(pid):
    """Resident memory of a process tree, in MiB."""
    kib = 0
    for each in tree(pid):
        found = re.search(r"^VmRSS:\s+(\d+)", read(Path(f"/proc/{each}/status")), re.M)
        kib += int(found[1]) if found else 0
    return kib / 1024


def connections_by_worker(pid, port):
    """How many of a listener's connections each epoll of the process watches, largest first."""
    established, hexport = "01", f":{port:04X}"
    rows = [line.split() for line in read(Path("/proc/net/tcp")).splitlines()[1:]]
    inodes = {row[9] for row in rows if row[1].endswith(hexport) and row[3] == established}
    process, counts = Path(f"/proc/{pid}"), []
    sockets = set()
    for fd in process.joinpath("fd").iterdir():
        try:
            target = os.readlink(fd)
        except OSError:
            continue
        found = re.fullmatch(r"socket:\[(\d+)\]", target)
        if found and found[1] in inodes:
            sockets.add(fd.name)
    for info in process.joinpath("fdinfo").iterdir():
        watched = set(re.findall(r"^tfd:\s+(\d+)", read(info), re.M)) & sockets
        if watched:
            counts.append(len(watched))
    return sorted(counts, reverse=True)


def describe():
    """The machine in one line."""
    model = re.search(r"^model name\s*:\s*(.+)", read(Path("/proc/cpuinfo")), re.M)
    system = re.search(r'^PRETTY_NAME="(.+)"', read(Path("/etc/os-release")), re.M)
    return ", ".join(
        [
            f"{os.cpu_count()} cores of {model[1].strip() if model else platform.machine()}",
            f"Linux {platform.release()}",
            system[1] if system else "",
        ]
    ).strip(", ")
