#!/usr/bin/env python3
"""Writes sigv4_botocore.json: requests that botocore signed, for this crate's signer and verifier to agree with.

Run it with botocore installed; the output is the same every time. The cases whose names begin with `suite-` are
requests of the published SigV4 test suite, and their signatures must be the published ones.
"""

import base64
import datetime
import json
import pathlib
import random

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW = datetime.datetime(2015, 8, 30, 12, 36, 0)
auth.get_current_datetime = lambda remove_tzinfo=True: NOW
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwt"
    "hAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVX"
    "AkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)

PUBLISHED = {
    "suite-get-vanilla": "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    "suite-get-vanilla-query-order-key-case": "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    "suite-get-vanilla-query-unreserved": "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    "suite-get-vanilla-utf8-query": "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    "suite-get-unreserved": "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    "suite-get-header-key-duplicate": "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    "suite-get-header-value-trim": "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    "suite-post-vanilla": "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    "suite-post-sts-header-before": "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    "suite-post-x-www-form-urlencoded": "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    "suite-get-relative": "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    "suite-get-relative-relative": "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    "suite-get-slash": "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    "suite-get-slash-pointless-dot": "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
}

cases = []


def sign(name, signer, method, path, headers=(), body=b"", service="service", token=None, unsigned=False):
    host = "example.amazonaws.com"
    if issubclass(signer, auth.SigV4QueryAuth):
        body = b""  # botocore's presigner would move a body into the query.
    request = AWSRequest(method=method, url=f"https://{host}{path}", data=body)
    request.headers["Host"] = host
    for header, value in headers:
        request.headers.add_header(header, value)
    if unsigned:
        request.context["payload_signing_enabled"] = False
        request.context["client_config"] = None
    credentials = Credentials(KEY, SECRET, token)
    signer(credentials, service, "us-east-1").add_auth(request)
    if name in PUBLISHED:
        signature = request.headers["Authorization"].rsplit("=", 1)[1]
        assert signature == PUBLISHED[name], f"{name}: {signature}"
    cases.append(
        {
            "name": name,
            "method": method,
            "address": request.url[len(f"https://{host}"):],
            "headers": [[k.lower(), v] for k, v in request.headers.items()],
            "body": base64.b64encode(body).decode(),
            "service": service,
            "token": token,
        }
    )


def suite():
    sig = auth.SigV4Auth
    sign("suite-get-vanilla", sig, "GET", "/")
    sign("suite-get-vanilla-query-order-key-case", sig, "GET", "/?Param2=value2&Param1=value1")
    unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    sign("suite-get-vanilla-query-unreserved", sig, "GET", f"/?{unreserved}={unreserved}")
    sign("suite-get-vanilla-utf8-query", sig, "GET", "/?%E1%88%B4=bar")
    sign("suite-get-unreserved", sig, "GET", f"/{unreserved}")
    sign(
        "suite-get-header-key-duplicate",
        sig,
        "GET",
        "/",
        [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
    )
    sign(
        "suite-get-header-value-trim",
        sig,
        "GET",
        "/",
        [("My-Header1", " value1"), ("My-Header2", ' "a   b   c"')],
    )
    sign("suite-post-vanilla", sig, "POST", "/")
    sign("suite-post-sts-header-before", sig, "POST", "/", token=TOKEN)
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    sign("suite-post-x-www-form-urlencoded", sig, "POST", "/", form, b"Param1=value1")
    sign("suite-get-relative", sig, "GET", "/example/..")
    sign("suite-get-relative-relative", sig, "GET", "/example1/example2/../..")
    sign("suite-get-slash", sig, "GET", "//")
    sign("suite-get-slash-pointless-dot", sig, "GET", "/./example")


def clients():
    """Requests as clients of the services make them."""
    arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af%3A1"
    body = b'{"FunctionName":"f"}'
    for kind, signer in [("header", auth.SigV4Auth), ("presigned", auth.SigV4QueryAuth)]:
        for token in [None, TOKEN]:
            tail = f"{kind}{'-token' if token else ''}"
            sign(f"lambda-arn-{tail}", signer, "GET", f"/2015-03-31/functions/{arn}", (), b"", "lambda", token)
            sign(f"lambda-create-{tail}", signer, "POST", "/2015-03-31/functions/", (), body, "lambda", token)
            tags = f"/2017-03-31/tags/{arn}?tagKeys=b&tagKeys=a%20c&tagKeys=%2B"
            sign(f"lambda-tags-{tail}", signer, "DELETE", tags, (), b"", "lambda", token)
            target = [("X-Amz-Target", "Logs_20140328.CreateLogGroup")]
            sign(f"logs-{tail}", signer, "POST", "/", target, b'{"logGroupName":"g"}', "logs", token)
    for kind, signer in [("header", auth.S3SigV4Auth), ("presigned", auth.S3SigV4QueryAuth)]:
        for path in ["/bucket/a%20b/../c//d%2Be", "/bucket/%C3%A9?list-type=2&prefix=a%2Fb", "/"]:
            sign(f"s3-{kind}-{path}", signer, "PUT", path, (), b"content", "s3")
    sign("s3-unsigned-payload", auth.S3SigV4Auth, "PUT", "/b/k", (), b"content", "s3", None, True)


def random_ones():
    source = random.Random(1)
    safe = "abcXYZ019-._~"
    escapes = ["%20", "%2F", "%2B", "%C3%A9", "%25", "%3A", "%26", "%3D", "%3B"]

    def text(slashes=False):
        pieces = list(safe) + escapes + (["/", "/", "/./", "/../"] if slashes else [])
        return "".join(source.choice(pieces) for _ in range(source.randrange(12)))

    for number in range(40):
        query = "&".join(f"{text()}k={text()}" for _ in range(source.randrange(5)))
        address = f"/{text(True)}" + (f"?{query}" if query else "")
        headers = [(f"X-H{i}", f"{text()}  {text()}\t{text()} ".strip()) for i in range(source.randrange(4))]
        body = bytes(source.randrange(256) for _ in range(source.randrange(40)))
        signer, service = source.choice(
            [(auth.SigV4Auth, "lambda"), (auth.SigV4QueryAuth, "lambda"), (auth.S3SigV4Auth, "s3")]
        )
        sign(f"random-{number}", signer, source.choice(["GET", "POST"]), address, headers, body, service)


suite()
clients()
random_ones()
out = pathlib.Path(__file__).with_suffix(".json")
out.write_text(json.dumps(cases, indent=1) + "\n")
print(f"{len(cases)} cases")
