"""Install and build what the async suite needs, into build/bench/async."""
import os
import subprocess
from pathlib import Path

import build

_CARGO = Path("/usr/bin/cargo")  # Debian's, which takes Debian's crates and needs no network
_CRATES = Path("/usr/share/cargo/registry")
_MANIFEST = """\
[package]
name = "tasks"
version = "0.1.0"
edition = "2021"

[[bin]]
name = "tasks_tokio"
path = "{source}"

[dependencies]
tokio = {{ version = "1", features = ["io-util", "net", "rt", "sync", "time"] }}
"""
_CARGO_CONFIG = """\
[source.crates-io]
replace-with = "debian"

[source.debian]
directory = "{crates}"
"""


def prepare(bench):
    build.install_packages(bench, "bench-async")
    (bench.build / "async").mkdir(exist_ok=True)
    _compile_peers(bench)
    _compile_rust(bench)
    if not bench.peers_only:
        _compile_own(bench)


def _compile_peers(bench):
    sources, target = bench.root / "bench/peers/async", bench.build / "async"
    include = ["-D_GNU_SOURCE", f"-I{sources}"]
    for name in ("bare", "epoll", "load"):
        build.compile_c(bench, sources / f"{name}.c", target / name, [], [*include, "-pthread"])
    build.compile_c(bench, sources / "libuv.c", target / "libuv", ["libuv"], include)
    for name in ("tasks", "net"):
        build.compile_go(bench, sources / f"{name}.go", target / f"{name}_go")
    build.compile_go(bench, bench.root / "bench/peers/sleeps.go", bench.build / "sleeps_go")
    if build.is_older(target / "tasks_boost", sources / "tasks.cpp", sources / "timed.h"):
        subprocess.run([os.environ.get("CXX", "g++"), "-std=c++17", "-O2", *include, "-o", target / "tasks_boost",
                        sources / "tasks.cpp", "-lboost_fiber", "-lboost_context", "-pthread"], check=True)


def _compile_rust(bench):
    source, target = bench.root / "bench/peers/async/tasks.rs", bench.build / "async/tasks_tokio"
    if not build.is_older(target, source):
        return
    directory = bench.build / "async/tokio"
    (directory / ".cargo").mkdir(parents=True, exist_ok=True)
    (directory / "Cargo.toml").write_text(_MANIFEST.format(source=source))
    (directory / ".cargo/config.toml").write_text(_CARGO_CONFIG.format(crates=_CRATES))
    subprocess.run([_CARGO, "build", "--release", "--offline", "--quiet"], cwd=directory, check=True,
                   env={**os.environ, "CARGO_HOME": str(directory / "home"), "RUSTC": "/usr/bin/rustc"})
    (directory / "target/release/tasks_tokio").replace(target)


def _compile_own(bench):
    """libgather's programs, with the library as it is installed; `parts` alone sees into it."""
    sources, target, library = bench.root / "bench/clients/async", bench.build / "async", bench.product / "lib"
    flags = ["-D_GNU_SOURCE", f"-I{bench.root}/bench/peers/async", f"-I{bench.root}/include"]
    linked = [f"-L{library}", f"-Wl,-rpath,{library}", "-lgather"]
    for name in ("tasks", "sleeps", "net"):
        build.compile_c(bench, sources / f"{name}.c", target / f"{name}_gather", [], [*flags, *linked])
    archives = [bench.product / f"src/{layer}/libgather_{layer}.a" for layer in ("async", "base")]
    folders = [f"-I{bench.root}/src/{folder}" for folder in ("async", "async/stack", "base")]
    build.compile_c(bench, sources / "parts.c", target / "parts", ["libevent_core", "libcares", "libcurl", "openssl"],
                    [*flags, *folders, *archives, "-pthread"])
