"""Functions as scenarios use them: made under a name of their own, called, looked into, deleted."""

import base64
import itertools
import json
import os
import re

from botocore.exceptions import ClientError

from support.node import ROLE, wait_until
from support.packages import archive

_numbers = itertools.count(1)


def fresh_name(word="f"):
    return f"{word}-{os.getpid()}-{next(_numbers)}"


class Answer:
    """What an Invoke came back with."""

    def __init__(self, response):
        self.status = response["StatusCode"]
        self.failed = response.get("FunctionError")
        self.version = response.get("ExecutedVersion")
        self.raw = response["Payload"].read()
        self.headers = response["ResponseMetadata"]["HTTPHeaders"]
        self.request_id = response["ResponseMetadata"]["RequestId"]
        tail = response.get("LogResult")
        self.log = base64.b64decode(tail).decode(errors="replace") if tail is not None else None

    @property
    def json(self):
        return json.loads(self.raw) if self.raw else None

    @property
    def was_cold(self):
        return "cold=1" in self.headers["x-lambent-timing"]

    @property
    def stages(self):
        pairs = (part.split("=") for part in self.headers["x-lambent-timing"].split(";"))
        return {name: float(value) for name, value in pairs}

    def ok(self):
        """The payload of a call that may not have failed."""
        assert self.failed is None, f"the function failed: {self.raw.decode(errors='replace')}\n{self.log}"
        return self.json

    def error(self):
        """The error document of a call that has to fail."""
        assert self.failed == "Unhandled", f"no failure: {self.raw[:500]}"
        return self.json

    def __repr__(self):
        return f"Answer({self.status}, failed={self.failed}, {self.raw[:200]!r})"


class Function:
    """A function on a node."""

    def __init__(self, node, name, client=None):
        self.node = node
        self.name = name
        self.client = client or node.functions

    def create(self, code, *, runtime="python3.11", handler="index.handler", wait=True, **settings):
        """`code` is a source text, files by name, or a zip."""
        settings.setdefault("Role", ROLE)
        settings.setdefault("Timeout", 20)
        self.created = self.client.create_function(
            FunctionName=self.name,
            Runtime=runtime,
            Handler=handler,
            Code={"ZipFile": package(code, runtime)},
            **settings,
        )
        if wait:
            self.settle()
        return self

    def settle(self):
        """Waits until nothing of the function is under way."""

        def at_rest():
            found = self.client.get_function_configuration(FunctionName=self.name)
            busy = found["State"] == "Pending" or found.get("LastUpdateStatus") == "InProgress"
            return None if busy else found

        return wait_until(at_rest, 30, f"{self.name} at rest")

    def configure(self, **settings):
        self.client.update_function_configuration(FunctionName=self.name, **settings)
        return self.settle()

    def update(self, code, **more):
        runtime = self.client.get_function_configuration(FunctionName=self.name)["Runtime"]
        zip_file = package(code, runtime)
        answer = self.client.update_function_code(FunctionName=self.name, ZipFile=zip_file, **more)
        self.settle()
        return answer

    def call(self, event=None, *, raw=None, tail=True, client=None, **more):
        payload = raw if raw is not None else json.dumps(event if event is not None else {}).encode()
        response = (client or self.client).invoke(
            FunctionName=self.name,
            Payload=payload,
            **({"LogType": "Tail"} if tail else {}),
            **more,
        )
        return Answer(response)

    def __call__(self, event=None, **more):
        return self.call(event, **more).ok()

    def delete(self):
        try:
            self.client.delete_function(FunctionName=self.name)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise

    @property
    def arn(self):
        return self.client.get_function_configuration(FunctionName=self.name)["FunctionArn"]

    @property
    def group(self):
        return f"/aws/lambda/{self.name}"


def package(code, runtime="python3.11"):
    if isinstance(code, bytes):
        return code
    if isinstance(code, dict):
        return archive(code)
    if runtime.startswith("nodejs"):
        return archive({"index.mjs": code})
    if runtime.startswith("provided"):
        return archive({"bootstrap*": code})
    return archive({"index.py": code})


def code_of(error):
    return error.response["Error"]["Code"]


class Refused:
    """Asserts that a call is refused: `with Refused("Code", 400, "part of the message"):`."""

    def __init__(self, code, status=None, message=None):
        self.code, self.status, self.message = code, status, message

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert kind is not None, f"accepted, where {self.code} was expected"
        if not isinstance(error, ClientError):
            return False
        self.error = error
        self.response = error.response
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        text = error.response["Error"].get("Message", "")
        seen = f"{status} {code_of(error)}: {text}"
        assert code_of(error) == self.code, f"expected {self.code}, got {seen}"
        assert self.status in (None, status), f"expected {self.status}, got {seen}"
        assert self.message is None or re.search(self.message, text), f"expected /{self.message}/, got {seen}"
        return True
