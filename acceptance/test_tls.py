"""HTTPS with a certificate of one's own."""

import http.client
import shutil
import subprocess
import urllib.request

import pytest
from botocore.exceptions import SSLError

from support.functions import Answer, Function
from support.node import BINARY, Node
from support.packages import run


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("no openssl here")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
    )
    return cert, key


@pytest.fixture(scope="module")
def secure(certificate):
    cert, key = certificate
    with Node(options=["--tls-cert", cert, "--tls-key", key]) as node:
        yield node


def test_boto3_trusts_the_certificate_that_it_is_given(secure, certificate):
    assert secure.endpoint.startswith("https://")
    client = secure.client(verify=str(certificate[0]))
    function = Function(secure, "tls", client).create("def handler(e, c):\n    return 'over TLS'\n")
    assert function() == "over TLS"
    location = client.get_function(FunctionName="tls")["Code"]["Location"]
    assert location.startswith("https://")
    with pytest.raises(SSLError):
        secure.client().list_functions()


def test_inside_a_function_the_endpoint_needs_no_certificate(secure, certificate):
    client = secure.client(verify=str(certificate[0]))
    function = Function(secure, "inside", client).create(
        """
        import os, urllib.error, urllib.request
        def handler(event, context):
            try:
                urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/2015-03-31/functions", timeout=5)
            except urllib.error.HTTPError as error:
                return [os.environ["AWS_ENDPOINT_URL"].split(":")[0], error.code]
        """
    )
    assert function() == ["http", 403]
    assert Answer(client.invoke(FunctionName="inside")).ok()


def test_plain_http_is_hung_up_on(secure):
    # A TLS alert, or nothing.
    with pytest.raises((OSError, http.client.HTTPException)):
        urllib.request.urlopen(secure.endpoint.replace("https", "http") + "/_lambent/health", timeout=20)


def test_the_command_line_trusts_a_certificate_too(secure, certificate):
    import os

    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    words = [BINARY, "ls", "--endpoint", secure.endpoint]
    trusted = subprocess.run([*words, "--ca", certificate[0]], capture_output=True, text=True, env=environment, check=False)
    assert trusted.returncode == 0, trusted.stderr
    refused = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert refused.returncode == 3 and "--ca" in refused.stderr, refused.stderr


def test_a_certificate_that_cannot_be_used_is_told_at_start(tmp_path, certificate):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing of the kind")
    for cert, key in [(wrong, certificate[1]), (certificate[0], wrong), (certificate[0], tmp_path / "missing")]:
        words = [BINARY, "up", "--data", tmp_path / "data", "--port", "0", "--tls-cert", cert, "--tls-key", key]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode != 0 and "TLS" in done.stderr, done.stderr
