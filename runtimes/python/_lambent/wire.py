"""The Lambda Runtime API, version 2018-06-01, over one kept-alive TCP connection.

Own HTTP/1.1, because importing the standard library's client takes four times as long as starting the
interpreter. One write for each request; answers with a Content-Length and chunked ones are read.
"""

import _socket
import sys

# Runtime API: the largest event is 6 MB; one read takes the head of a call and all of a usual event.
READ_BYTES = 65536

# Asks the node to answer a response with the next event: one exchange for each call instead of two. Another
# server doesn't know it and answers as ever.
THEN_NEXT = "Lambent-Then: next\r\n"

_PATH = "/2018-06-01/runtime/invocation/"
_SNAPSHOT = "/2018-06-01/runtime/lambent/snapshot"


class Call:
    __slots__ = ("headers", "body")

    def __init__(self, headers, body):
        self.headers = headers
        self.body = body


class Api:
    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._host = host
        self._port = int(port)
        self._connection = None
        # Received behind the answer that was read last: the beginning of the next one.
        self._rest = b""
        # Of a streamed response: the head, until it is sent, and the error that broke it off.
        self._head = b""
        self._break = None
        agent = "User-Agent: aws-lambda-python/%d.%d.%d-lambent\r\n" % sys.version_info[:3]
        self._common = " HTTP/1.1\r\nHost: " + address + "\r\n" + agent
        self._next = ("GET /2018-06-01/runtime/invocation/next" + self._common + "\r\n").encode()

    def next(self):
        """Waits for the next invocation. Ends the process when the node is gone or refuses."""
        return self._call(*self._exchange(self._next))

    def _call(self, status, headers, body):
        if status != 200:
            raise RuntimeError("Failed to get next invocation. Http Response code: %d" % status)
        return Call(headers, body)

    def answer(self, request_id, body, content_type):
        """Answers an invocation and waits for the next one. Returns the answer's status and the next call."""
        request = self._post_request(
            _PATH + request_id + "/response", body, "Content-Type: " + content_type + "\r\n" + THEN_NEXT
        )
        status, headers, content = self._exchange(request)
        if status == 200:
            return status, Call(headers, content)
        return status, self.next()

    def begin_stream(self, request_id, content_type):
        """Begins a response that is sent piece by piece."""
        head = (
            "POST " + _PATH + request_id + "/response" + self._common + "Content-Type: " + content_type + "\r\n"
            "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
            "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n"
            "Transfer-Encoding: chunked\r\n" + THEN_NEXT + "\r\n"
        )
        if self._connection is None:
            self.connect()
        # Goes out with the first piece.
        self._head = head.encode("latin-1", "replace")
        self._break = None

    def chunk(self, part):
        self._send(b"%x\r\n%b\r\n" % (len(part), part))

    def end_stream(self, error=None):
        """Ends the response, with the type and the document of an error if there is one. As `answer`."""
        trailers = b""
        if error is not None:
            from binascii import b2a_base64

            trailers = (
                b"Lambda-Runtime-Function-Error-Type: " + _printable(error[0]).encode() + b"\r\n"
                b"Lambda-Runtime-Function-Error-Body: " + b2a_base64(error[1], newline=False) + b"\r\n"
            )
        self._send(b"0\r\n" + trailers + b"\r\n")
        status, headers, content = self._receive()
        if status == 200:
            return status, Call(headers, content)
        return status, self.next()

    def is_broken(self, error):
        """Whether it is this connection that failed, and not something of the function's."""
        return error is self._break

    def disconnect(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, data):
        head, self._head = self._head, b""
        try:
            self._connection.sendall(head + data if head else data)
        except OSError as error:
            self._break = error
            raise

    def error(self, request_id, error_type, body):
        return self._post(_PATH + request_id + "/error", body, _error_headers(error_type))

    def init_error(self, error_type, body):
        return self._post("/2018-06-01/runtime/init/error", body, _error_headers(error_type))

    # ---- SnapStart ------------------------------------------------------------------------------------------------

    def before_snapshot_error(self, body):
        return self.init_error("Runtime.BeforeSnapshotError", body)

    def restore_error(self, body):
        return self._post("/2018-06-01/runtime/restore/error", body, _error_headers("Runtime.AfterRestoreError"))

    def refuse_snapshot(self, reason):
        return self._post(_SNAPSHOT + "/refused", reason, "Content-Type: text/plain\r\n")

    def unusable_snapshot(self, reason):
        return self._post(_SNAPSHOT + "/unusable", reason, "Content-Type: text/plain\r\n")

    def begin_snapshot(self):
        """Begins a snapshot, which is sent by `chunk`."""
        if self._connection is None:
            self.connect()
        head = "POST " + _SNAPSHOT + self._common + "Content-Type: application/octet-stream\r\n"
        self._head = (head + "Transfer-Encoding: chunked\r\n\r\n").encode("latin-1", "replace")

    def end_snapshot(self):
        self._send(b"0\r\n\r\n")
        self._receive()

    def descriptor(self):
        return -1 if self._connection is None else self._connection.fileno()

    def forget(self):
        """Lets the connection be: it is another process's."""
        if self._connection is not None:
            self._connection.detach()
            self._connection = None

    def move_above(self, number):
        """Makes way for descriptors up to this number."""
        if self.descriptor() <= number:
            import fcntl

            moved = fcntl.fcntl(self._connection, fcntl.F_DUPFD_CLOEXEC, number + 1)
            self._connection.close()
            self._connection = _socket.socket(fileno=moved)

    def _post(self, path, body, headers):
        return self._exchange(self._post_request(path, body, headers))[0]

    def _post_request(self, path, body, headers):
        head = "POST " + path + self._common + headers + "Content-Length: %d\r\n\r\n" % len(body)
        return head.encode("latin-1", "replace") + body

    def _exchange(self, request):
        fresh = self._connection is None
        if fresh:
            self.connect()
        try:
            self._connection.sendall(request)
            return self._receive()
        except (BrokenPipeError, ConnectionResetError):
            # An idle kept-alive connection may have been closed by the other side; a fresh one says more.
            if fresh:
                raise
            self._connection = None
            return self._exchange(request)

    def connect(self):
        connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        connection.connect((self._host, self._port))
        connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self._connection = connection
        self._rest = b""

    def _receive(self):
        data = self._rest or self._read()
        self._rest = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._read()
        lines = data[:end].decode("utf-8", "surrogateescape").split("\r\n")
        status = int(lines[0].split(" ", 2)[1])
        lines[0] = ":"
        headers = {name.lower(): value.strip() for name, _, value in [line.partition(":") for line in lines]}
        rest = data[end + 4 :]
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks(rest)
        else:
            body = self._exactly(int(headers.get("content-length", 0)), rest)
        if "connection" in headers and headers["connection"].lower() == "close":
            self._connection.close()
            self._connection = None
        return status, headers, body

    def _exactly(self, length, rest):
        if len(rest) >= length:
            self._rest = rest[length:]
            return rest[:length]
        body = bytearray(length)
        body[: len(rest)] = rest
        have = len(rest)
        with memoryview(body) as view:
            while have < length:
                count = self._connection.recv_into(view[have:])
                if not count:
                    raise ConnectionResetError("the Runtime API closed the connection")
                have += count
        return bytes(body)

    def _chunks(self, rest):
        body = []
        while True:
            while (end := rest.find(b"\r\n")) < 0:
                rest += self._read()
            length = int(rest[:end].split(b";")[0], 16)
            need = end + 2 + length + 2
            while len(rest) < need:
                rest += self._read()
            if length == 0:
                self._rest = rest[need:]
                return b"".join(body)
            body.append(rest[end + 2 : need - 2])
            rest = rest[need:]

    def _read(self):
        data = self._connection.recv(READ_BYTES)
        if not data:
            raise ConnectionResetError("the Runtime API closed the connection")
        return data


def _error_headers(error_type):
    return (
        "Content-Type: application/vnd.aws.lambda.error+json\r\n"
        "Lambda-Runtime-Function-Error-Type: " + _printable(error_type) + "\r\n"
    )


def _printable(error_type):
    return "".join(c if " " < c < "\x7f" else "_" for c in error_type)
