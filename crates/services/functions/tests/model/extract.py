#!/usr/bin/env python3
"""Extracts from botocore's public service models what COMPAT.md is made from: operations and the names of
their input members, no more. Run it after an update of botocore, with the folder of this file as the place:

    python3 extract.py lambda 2015-03-31 > members.json
    python3 extract.py logs 2014-03-28 > ../../../observe/tests/model/members.json

A member stands with the place that it has in a request: body, payload, uri, query:NAME or header:NAME.
Members of a structure stand with a dot, those of a list's structures with [] before it.
"""

import gzip
import json
import pathlib
import sys

import botocore


def load(service, version):
    folder = pathlib.Path(botocore.__file__).parent / "data" / service / version
    with gzip.open(folder / "service-2.json.gz") as file:
        return json.load(file)


def place(member, is_payload):
    where = member.get("location")
    if is_payload:
        return "payload"
    if where is None:
        return "body"
    if where == "uri":
        return "uri"
    return {"querystring": "query", "header": "header"}[where] + ":" + member["locationName"]


def members(shapes, name, prefix="", seen=()):
    shape = shapes[name]
    for member, reference in shape.get("members", {}).items():
        path = prefix + member
        yield path, place(reference, shape.get("payload") == member)
        inner, dot = reference["shape"], "."
        if shapes[inner]["type"] == "list":
            inner, dot = shapes[inner]["member"]["shape"], "[]."
        if shapes[inner]["type"] == "structure" and inner not in seen:
            yield from members(shapes, inner, path + dot, (*seen, inner))


def main(service, version):
    model = load(service, version)
    shapes, operations = model["shapes"], model["operations"]
    lines = []
    for name in sorted(operations):
        found = operations[name].get("input")
        inputs = dict(members(shapes, found["shape"])) if found else {}
        lines.append(f"    {json.dumps(name)}: {json.dumps(inputs)}")
    title = f"{service} {version}, botocore {botocore.__version__}"
    print("{\n  \"source\": " + json.dumps(title) + ",\n  \"operations\": {")
    print(",\n".join(lines))
    print("  }\n}")


main(*sys.argv[1:])
