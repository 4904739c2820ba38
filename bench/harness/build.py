"""Install and build what the workloads need, into build/bench."""
import os
import shutil
import subprocess

_FLAGS = ["-std=gnu17", "-O2", "-Wall", "-Wextra"]

# Program: the pkg-config packages that it is built with.
_C_PEERS = {
    "zeromq": ["libzmq"],
    "nats": ["libnats"],
    "redis": ["hiredis"],
    "beanstalkd": [],
    "gearman": ["gearmand"],
    "curl_event": ["libcurl", "libevent"],
    "producers": [],
    "rabbitmq": ["librabbitmq"],
    "postgres": ["libpq"],
}
_GO_PEERS = ["fetch", "sleeps"]


def install_packages(bench, section):
    subprocess.run([bench.root / "config/install-packages", section], check=True)


def install_npm(bench):
    if not shutil.which("npm"):  # Node's packages outside of Debian have it within, and conflict with Debian's npm
        install_packages(bench, "bench-npm")


def install_undici(bench):
    directory = bench.build / "node"
    if (directory / "node_modules/undici").exists():
        return
    directory.mkdir(exist_ok=True)
    major = int(subprocess.check_output(["node", "--version"], text=True).lstrip("v").partition(".")[0])
    environment = {**os.environ, "npm_config_cache": str(bench.build / "npm-cache")}
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", directory,
                    f"undici@{7 if major >= 20 else 6}"], check=True, env=environment, stdout=subprocess.DEVNULL)


def is_older(target, *sources):
    return not target.exists() or any(source.stat().st_mtime > target.stat().st_mtime for source in sources)


def compile_c(bench, source, target, packages, extra):
    headers = list((bench.root / "bench/peers").glob("**/*.h"))
    if not is_older(target, source, *headers):
        return
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", *packages], text=True).split() \
        if packages else []
    subprocess.run([os.environ.get("CC", "gcc"), *_FLAGS, f"-I{bench.root}/bench/peers", "-o", target, source,
                    *extra, *flags], check=True)


def compile_peers(bench):
    for name, packages in _C_PEERS.items():
        compile_c(bench, bench.root / f"bench/peers/{name}.c", bench.build / name, packages, [])
    for name in _GO_PEERS:
        compile_go(bench, bench.root / f"bench/peers/{name}.go", bench.build / f"{name}_go")


def compile_go(bench, source, target):
    environment = {**os.environ, "GOCACHE": str(bench.build / "go-cache"), "GO111MODULE": "off", "CGO_ENABLED": "0"}
    if is_older(target, source):
        subprocess.run(["go", "build", "-o", target, source], check=True, env=environment)


def compile_clients(bench):
    """The clients of gatherd itself."""
    if bench.peers_only:
        return
    library = bench.product / "lib"
    linked = [f"-I{bench.root}/include", f"-L{library}", f"-Wl,-rpath,{library}", "-lgatherclient"]
    compile_c(bench, bench.root / "bench/clients/records.c", bench.build / "records", [], linked)
    compile_c(bench, bench.root / "bench/clients/producers.c", bench.build / "producers_records", [], linked)
    compile_c(bench, bench.root / "bench/clients/lines.c", bench.build / "lines", [], [])


def prepare(bench):
    """For the workloads of bench/workloads."""
    install_packages(bench, "bench")
    install_npm(bench)
    install_undici(bench)
    compile_peers(bench)
    compile_clients(bench)
