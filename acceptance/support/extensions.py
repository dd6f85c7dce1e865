"""Extensions as scenarios write them: a few lines of Python behind a client of the Extensions API, in a layer."""

import textwrap

from support.functions import fresh_name
from support.packages import archive

CLIENT = '''\
#!/usr/bin/python3 -S
import http.client, json, os, sys, time
NAME = os.path.basename(__file__)

def ask(method, path, body=None, version="2020-01-01", **headers):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, f"/{version}/{path}", None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    text = response.read().decode()
    return response.status, dict(response.getheaders()), json.loads(text) if text.strip() else None

def register(*events, **more):
    global ID
    status, headers, answer = ask("POST", "extension/register", {"events": events}, Lambda_Extension_Name=NAME, **more)
    assert status == 200, (status, answer)
    ID = {name.lower(): value for name, value in headers.items()}["lambda-extension-identifier"]
    return answer

def next_event():
    status, headers, answer = ask("GET", "extension/event/next", Lambda_Extension_Identifier=ID)
    assert status == 200, (status, answer)
    return answer

def say(*words):
    print(NAME, *words, flush=True)

'''


def extension(body):
    """An extension's file."""
    return CLIENT + textwrap.dedent(body).lstrip("\n")


def layer(node, files):
    """Publishes `{extension's name: source}`; other paths keep their place."""
    files = {(name if "/" in name else f"extensions/{name}*"): source for name, source in files.items()}
    name = fresh_name("layer")
    return node.functions.publish_layer_version(LayerName=name, Content={"ZipFile": archive(files)})["LayerVersionArn"]
