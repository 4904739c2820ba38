"""A scope holds what one run needs: servers, workers, a scratch directory. It ends them all, by pid, in reverse order."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

import machine

# Servers end with the benchmark even if that is killed.
_WITH_PARENT = ["setpriv", "--pdeathsig", "TERM"]
_SOCKET_PATH_MAX = 107
_LONGEST_NAME = 30  # of a socket below the scratch directory

_NGINX_CONF = """
daemon off; worker_processes 1; worker_rlimit_nofile {files}; user {user};
load_module {echo_module};
error_log stderr crit; pid {directory}/nginx.pid;
events {{ worker_connections 9000; use epoll; }}
http {{
	access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
	keepalive_timeout 300s; keepalive_requests 1000000000;
	open_file_cache max=100 inactive=600s; open_file_cache_valid 600s;
	default_type application/octet-stream;
	client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;
	uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
	server {{
		listen 127.0.0.1:{port} backlog=4096;
		root {directory}/www;
		location /slow {{ echo_sleep 0.1; echo ok; }}
	}}
}}
"""
_ECHO_MODULE = "/usr/lib/nginx/modules/ngx_http_echo_module.so"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Scope:
    def __init__(self, bench):
        self.bench = bench
        self.directory = self._scratch(bench.scratch)
        self.system = []  # pids of what is measured along with the client
        self._processes = []
        self._closers = []

    @staticmethod
    def _scratch(parent):
        directory = tempfile.mkdtemp(dir=parent)
        if len(directory) + _LONGEST_NAME > _SOCKET_PATH_MAX:
            os.rmdir(directory)
            directory = tempfile.mkdtemp(prefix="gather-bench-")
        os.chmod(directory, 0o755)  # nginx's worker may be another user
        return directory

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self._processes):
            self._end(process)
        for descriptor in self._closers:
            os.close(descriptor)
        shutil.rmtree(self.directory, ignore_errors=True)

    @staticmethod
    def _end(process):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()

    def path(self, name):
        return f"{self.directory}/{name}"

    def start(self, command, cpu=None, measured=True, says_ready=False, accepts_on=None, **options):
        """Start a server or worker and wait until it serves."""
        if cpu is not None:
            command = ["taskset", "-c", str(cpu), *command]
        log = open(self.path("log"), "ab")
        process = subprocess.Popen(_WITH_PARENT + command, stdin=subprocess.DEVNULL, stderr=log,
                                   stdout=subprocess.PIPE if says_ready else log, **options)
        log.close()
        self._processes.append(process)
        if measured:
            self.system.append(process.pid)
        if says_ready and process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"{command} didn't get ready: {self.log()}")
        if accepts_on:
            self._wait(process, lambda: accepts(accepts_on))
        return process

    def _wait(self, process, condition):
        machine.wait_until(lambda: process.poll() is not None or condition(), process.args)
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended: {self.log()}")

    def log(self):
        if not os.path.exists(self.path("log")):
            return ""
        with open(self.path("log"), errors="replace") as file:
            return file.read()[-2000:]

    def nginx(self):
        """The world outside, on the server's CPU: not part of what is measured. Returns its base URL."""
        os.mkdir(self.path("www"))
        with open(self.path("www/f"), "w") as file:
            file.write("x" * 1024)
        port = free_port()
        with open(self.path("nginx.conf"), "w") as file:
            file.write(_NGINX_CONF.format(directory=self.directory, port=port, echo_module=_ECHO_MODULE,
                                          files=self.bench.files, user=pwd.getpwuid(os.geteuid()).pw_name))
        self.start(["nginx", "-e", "stderr", "-c", self.path("nginx.conf"), "-p", self.directory],
                   cpu=machine.server_cpu(), measured=False, accepts_on=port)
        return f"http://127.0.0.1:{port}"

    def gatherd(self, workers=None, cpu=None, store=False):
        """A private daemon; returns its socket. `cpu` confines all its processes to one; `store`: jobs are kept on disk."""
        ready, says_ready = os.pipe()
        until_eof, held = os.pipe()
        self._closers += [ready, held]
        directory = self.path("d")
        command = [self.bench.binary("gatherd"), "--private", directory, "--ready-fd", str(says_ready),
                   "--until-eof", str(until_eof), "-o", "http.allow=*", "-o", "http.per_host=0"]
        if store:
            command += ["-o", "store=sqlite"]
        if workers:
            command += ["-o", f"workers={workers}"]
        process = self.start(command, cpu=cpu, pass_fds=[says_ready, until_eof])
        os.close(says_ready)
        os.close(until_eof)
        if os.read(ready, 16) != b"ready\n":
            raise RuntimeError(f"gatherd didn't get ready: {self.log()}")
        self.daemon = process.pid
        return f"{directory}/s"

    def roles(self, role):
        """The daemon's processes of that role."""
        return [pid for pid in machine.family([self.daemon]) if f"--role {role}" in machine.command_name(pid)]
