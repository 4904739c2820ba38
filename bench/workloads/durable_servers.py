"""The servers of the workload durable, set to sync before they answer. Each returns where it listens."""
import os
import subprocess
from pathlib import Path

import machine
from scope import accepts, free_port

_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").is_dir() else []
_POSTGRES_USER = "postgres"  # it refuses to run as root
_RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_TABLE = """CREATE TABLE jobs (id bigserial PRIMARY KEY, state int NOT NULL DEFAULT 0, sent bigint NOT NULL, body text);
CREATE INDEX ready ON jobs (id) WHERE state = 0;"""


def redis(scope):
    port = free_port()
    scope.start(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes",
                 "--appendfsync", "always", "--dir", scope.directory], accepts_on=port)
    return port


def beanstalkd(scope):
    port = free_port()
    os.mkdir(scope.path("binlog"))
    scope.start(["beanstalkd", "-l", "127.0.0.1", "-p", str(port), "-b", scope.path("binlog"), "-f", "0"],
                accepts_on=port)
    return port


def postgres(scope):
    """Its defaults (fsync and synchronous_commit on), with room for many connections."""
    programs, data = _POSTGRES[-1], scope.path("pg")
    as_user = ["runuser", "-u", _POSTGRES_USER, "--"] if os.geteuid() == 0 else []
    os.mkdir(data)
    if as_user:
        subprocess.run(["chown", _POSTGRES_USER, data, scope.directory], check=True)
    with open(scope.path("log"), "ab") as log:
        subprocess.run([*as_user, programs / "initdb", "-D", data, "-A", "trust", "-U", _POSTGRES_USER], check=True,
                       stdout=log, stderr=log)
    scope.start([*as_user, str(programs / "postgres"), "-D", data, "-c", "listen_addresses=", "-k", data,
                 "-c", "max_connections=300"])
    where = f"host={data} user={_POSTGRES_USER} dbname={_POSTGRES_USER}"
    machine.wait_until(lambda: subprocess.run([programs / "psql", "-q", where, "-c", "SELECT 1"],
                                              capture_output=True).returncode == 0, "PostgreSQL", 30)
    subprocess.run([programs / "psql", "-q", where, "-c", _TABLE], check=True)
    return where


def rabbitmq(scope):
    """A node of its own, with a port mapper of its own."""
    port, mapper = free_port(), free_port()
    home = scope.path("rabbit")
    os.mkdir(home)
    Path(home, "plugins").write_text("[].")
    environment = {
        **os.environ, "HOME": home, "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(mapper),
        "RABBITMQ_NODENAME": f"bench{port}@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port), "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": f"{home}/db", "RABBITMQ_LOG_BASE": f"{home}/log",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins", "RABBITMQ_PID_FILE": f"{home}/pid",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    scope.start(["epmd", "-address", "127.0.0.1", "-port", str(mapper)], measured=False, accepts_on=mapper)
    scope.start([_RABBITMQ], env=environment)
    machine.wait_until(lambda: accepts(port), "RabbitMQ", 60)
    return port
