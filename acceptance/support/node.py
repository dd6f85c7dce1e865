"""A node under test: started as its users start it, watched, and stopped.

Invariant: a node that is left is down, and nothing of it is left on the host.
"""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import boto3
from botocore.config import Config

from support import residue

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("LAMBENT_BIN", REPOSITORY / "target/release/lambent"))
REGION = "us-east-1"
ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/lambda-role"

# Generous: the machines that run this share their cores and their disks.
READY_WITHIN = 120
STOPPED_WITHIN = 120
PATIENCE = 60.0

ALARMING = re.compile(r"\b(WARN|ERROR)\b|panicked|^error:|^warning:")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def wait_until(question, within=PATIENCE, what=None, promised=None):
    """The first answer of `question` that is true. Asks often, and fails when the time is over.

    `within` is patience: a machine that is busy with other things is given more. What is `promised` is the time in
    which it has to be so, and as much longer as a busy machine may take."""
    within = promised if promised is not None else max(within, PATIENCE)
    deadline = time.monotonic() + within
    pause = 0.005
    while True:
        # Before the question: a machine that stood still while it was asked leaves time for another.
        is_last = time.monotonic() > deadline
        answer = question()
        if answer:
            return answer
        if is_last:
            raise AssertionError(f"not within {within} s: {what or question}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def soon(attempt, what, tries=6):
    """The first true answer of a few attempts.

    For promises of pace: a machine that shares its cores is slow now and then, and a product that waits where it
    should not is slow each time."""
    for _ in range(tries):
        answer = attempt()
        if answer:
            return answer
    raise AssertionError(f"not once in {tries} attempts: {what}")


def took(action):
    """How long it takes, in seconds."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


class Node:
    """`lambent up` with a data directory of its own."""

    def __init__(self, data=None, options=(), allowed=(), environment=None):
        self._own = tempfile.TemporaryDirectory(prefix="lambent-acceptance-") if data is None else None
        self.data = Path(self._own.name) / "data" if self._own else Path(data)
        self.options = list(options)
        self.environment = environment or {}
        self.allowed = list(allowed)
        # What single scenarios announced, each for its own time: known at the node's end.
        self.announced = []
        self.process = None
        self.endpoint = None
        self.lines = []
        self._clients = {}

    def start(self):
        began = time.monotonic()
        self.process = subprocess.Popen(
            [BINARY, "up", "--data", self.data, "--port", "0", "--json", *self.options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.environment},
            # A Ctrl-C at the terminal is for the tests; they stop the node themselves.
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self._read_errors, args=(self.process,), daemon=True)
        self.reader.start()
        guard = threading.Timer(READY_WITHIN, self.process.kill)
        guard.start()
        try:
            line = self.process.stdout.readline()
        finally:
            guard.cancel()
        if not line:
            self.process.wait()
            self.reader.join()
            raise AssertionError("the node did not start:\n" + "\n".join(self.lines))
        ready = json.loads(line)
        assert ready["event"] == "ready" and ready["pid"] == self.process.pid
        self.ready = ready
        self.endpoint = ready["endpoint"]
        self.started_within = time.monotonic() - began
        return self

    def _read_errors(self, process):
        for line in process.stderr:
            self.lines.append(ANSI.sub("", line.rstrip("\n")))

    def kill(self):
        """`kill -9`: nothing is said, nothing is tidied."""
        self.process.kill()
        self.process.wait()
        self.reader.join(timeout=10)
        self._clients.clear()

    def stop(self):
        """A clean stop; fails when it isn't clean."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the node did not stop:\n" + "\n".join(self.lines[-20:])) from None
        self.reader.join(timeout=10)
        self._clients.clear()
        assert code == 0, f"the node stopped with {code}:\n" + "\n".join(self.lines[-20:])

    def close(self):
        try:
            self.stop()
            residue.check(self.data)
            self.check_lines(allowed=self.announced)
        finally:
            if self.process and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self._own:
                self._own.cleanup()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        if kind is None:
            return self.close()
        # The test's own failure is the one to read.
        try:
            self.close()
        except AssertionError as other:
            print(f"and then: {other}")

    def alarming(self, since=0, allowed=()):
        """What the node complained of, but for what was announced."""
        patterns = [re.compile(p) for p in [*self.allowed, *allowed]]
        said = [line for line in self.lines[since:] if ALARMING.search(line)]
        return [line for line in said if not any(p.search(line) for p in patterns)]

    def check_lines(self, since=0, allowed=()):
        complaints = self.alarming(since, allowed)
        assert not complaints, "the node complained:\n" + "\n".join(complaints)

    # Clients.

    def credentials(self):
        """The root key that the node made at its first start."""
        return json.loads((self.data / "credentials").read_text())

    def client(self, service="lambda", key="test", secret="test", token=None, region=REGION, **config):
        at = (service, key, secret, token, region, tuple(sorted(config.items())))
        if at not in self._clients:
            verify = config.pop("verify", None)
            settings = {
                "connect_timeout": 60,
                "read_timeout": 120,
                "max_pool_connections": 64,
                "retries": {"total_max_attempts": 1},
                **config,
            }
            self._clients[at] = boto3.session.Session().client(
                service,
                endpoint_url=self.endpoint,
                region_name=region,
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                aws_session_token=token,
                verify=verify,
                config=Config(**settings),
            )
        return self._clients[at]

    @property
    def functions(self):
        return self.client("lambda")

    @property
    def logs(self):
        return self.client("logs")

    def aws_environment(self, **more):
        """The variables of a shell that talks to this node and to nothing else."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return {
            **kept,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "AWS_MAX_ATTEMPTS": "1",
            **more,
        }
