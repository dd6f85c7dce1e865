"""A call ahead of the first one, by a runtime that knows no function yet.

What is done for the first time is slow: pages are touched, caches are made, lookups are learnt. So a parked
runtime loads a handler of its own from source and answers itself one event, over a socket that it holds both ends
of. Nothing of it is left: not the module, not its folder among the places to import from, not the variables.
"""

import _socket
import posix
import sys

from _lambent import context, logs, loop, paths, values, wire

# Beside this package and not in it: modules in it are compiled ahead, and a function's are not.
FOLDER = "/rehearsal"
HANDLER = "rehearsed.handler"
REQUEST = "00000000-0000-0000-0000-000000000000"
EVENT = b'{"key": ["value", 1, 2.5, null, true], "other": {"text": "\\u00e9"}}'


def rehearse():
    before = set(sys.modules)
    places, arguments = sys.path[:], sys.argv[:]
    near, far = _socket.socketpair()
    try:
        far.sendall(_event() + _event())
        # A client with a connection already: it never looks at the address.
        api = wire.Api("127.0.0.1:9001")
        api._connection = near
        sink = logs.Sink(fd=None, format_name=None, level_name=None)
        paths.arrange()
        sys.path.insert(0, _folder())
        handler = loop._load(HANDLER)
        loop._serve(api, handler, api.next(), sink)
        far.recv(wire.READ_BYTES)
        context.of_call({}, sink, None)
        values.use_ascii(None)
    finally:
        near.close()
        far.close()
        sys.path[:], sys.argv[:] = places, arguments
        sys.path_importer_cache.pop(_folder(), None)
        # The function's places are not there yet; what is remembered of them would be wrong.
        for place in ("/var/task", "/opt/python"):
            for known in [known for known in sys.path_importer_cache if known.startswith(place)]:
                del sys.path_importer_cache[known]
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == HANDLER.partition(".")[0]:
                del sys.modules[name]


def _event():
    head = (
        "HTTP/1.1 200 OK\r\n"
        "Content-Type: application/json\r\n"
        "Lambda-Runtime-Aws-Request-Id: " + REQUEST + "\r\n"
        "Lambda-Runtime-Deadline-Ms: 0\r\n"
        "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:::function:rehearsal\r\n"
        "Lambda-Runtime-Trace-Id: Root=1-0-0;Parent=0;Sampled=0\r\n"
        "Content-Length: %d\r\n\r\n" % len(EVENT)
    )
    return head.encode() + EVENT


def _folder():
    return (posix.environ.get(b"LAMBDA_RUNTIME_DIR") or b"/var/runtime").decode() + FOLDER
