"""Requests as no SDK would send them: over a plain socket, signed by hand."""

import datetime
import hashlib
import hmac
import socket
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.node import REGION


def signed(node, method, path, body=b"", *, key="test", secret="test", token=None, service="lambda",
           region=REGION, headers=None, unsigned=False, at=None, expires=None):
    """A request with SigV4 on it, as botocore makes it; `at` moves its clock."""
    import botocore.auth

    request = AWSRequest(method=method, url=node.endpoint + path, data=body, headers=headers or {})
    if unsigned:
        request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    credentials = Credentials(key, secret, token)
    signer = (
        SigV4Auth(credentials, service, region)
        if expires is None
        else SigV4QueryAuth(credentials, service, region, expires=expires)
    )
    real = botocore.auth.get_current_datetime
    if at is not None:
        botocore.auth.get_current_datetime = lambda remove_tzinfo=True: at
    try:
        signer.add_auth(request)
    finally:
        botocore.auth.get_current_datetime = real
    return request.prepare()


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


class Connection:
    """A socket to the node, and what comes back over it."""

    def __init__(self, node, timeout=30):
        address = urlsplit(node.endpoint)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=timeout)
        self.host = address.netloc

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method, target, headers=(), body=b""):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return self.response()

    def response(self):
        """Status, headers in lower case, and body; `None` when the node closed without a word."""
        data = b""
        while b"\r\n\r\n" not in data:
            try:
                got = self.socket.recv(65536)
            except ConnectionResetError:
                got = b""
            if not got:
                return None
            data += got
        head, _, body = data.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = {n.strip().lower(): v.strip() for n, v in (line.split(":", 1) for line in rest)}
        length = int(headers.get("content-length", 0))
        while len(body) < length:
            got = self.socket.recv(65536)
            if not got:
                break
            body += got
        return int(first.split()[1]), headers, body

    def is_closed(self):
        """Whether the node has hung up; waits for it as long as the socket's timeout."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def head_of(request, connection, length):
    """The head of a signed request for a new function, with a length of one's own."""
    lines = [f"{n}: {v.decode() if isinstance(v, bytes) else v}" for n, v in request.headers.items()]
    lines = [line for line in lines if not line.lower().startswith("content-length")]
    head = ["POST /2015-03-31/functions HTTP/1.1", f"Host: {connection.host}", f"Content-Length: {length}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n"


def half_requests(node):
    """Connections on which a client has stopped: in the middle of its head, and of its body."""
    head, body = Connection(node, timeout=180), Connection(node, timeout=180)
    head.send(b"GET / HTTP/1.1\r\nHost:")
    body.send(head_of(signed(node, "POST", "/2015-03-31/functions", b"x" * 100), body, 100) + b"xx")
    return head, body


def chunked_signature(node, path, body, *, secret="test", chunk_secret=None):
    """A request whose body is aws-chunked, each chunk signed; gives headers and body."""
    stamp = now().strftime("%Y%m%dT%H%M%SZ")
    day = stamp[:8]
    scope = f"{day}/{REGION}/lambda/aws4_request"
    host = urlsplit(node.endpoint).netloc
    declared = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    headers = {
        "content-encoding": "aws-chunked",
        "host": host,
        "x-amz-content-sha256": declared,
        "x-amz-date": stamp,
        "x-amz-decoded-content-length": str(len(body)),
    }
    names = ";".join(headers)

    def key(secret):
        out = ("AWS4" + secret).encode()
        for part in [day, REGION, "lambda", "aws4_request"]:
            out = hmac.new(out, part.encode(), hashlib.sha256).digest()
        return out

    def mac(secret, text):
        return hmac.new(key(secret), text.encode(), hashlib.sha256).hexdigest()

    canonical = "\n".join(
        # Services other than S3 sign the encoded path once more.
        ["POST", quote(quote(path)), "", *(f"{n}:{v}" for n, v in headers.items()), "", names, declared]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signature = mac(secret, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    framed, previous = b"", signature
    empty = hashlib.sha256(b"").hexdigest()
    half = max(1, len(body) // 2)
    for chunk in [body[:half], body[half:], b""]:
        text = "\n".join(
            ["AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, previous, empty, hashlib.sha256(chunk).hexdigest()]
        )
        previous = mac(chunk_secret or secret, text)
        framed += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + b"\r\n"
    del headers["host"]
    return list(headers.items()), framed
