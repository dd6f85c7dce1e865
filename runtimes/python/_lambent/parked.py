"""Booting before the function is known: import what functions import, then wait to be told.

The node writes one JSON object, `{"env": {...}, "cwd": "..."}`, and closes its end. Until then this process
has seen nothing of any function, and afterwards it serves that one function only.
"""

import posix

HANDOVER = b"_LAMBENT_HANDOVER_FD"
# Set where this process is to be copied; a copy goes on as a parked runtime does.
ZYGOTE = b"_LAMBENT_ZYGOTE_FD"
READ_BYTES = 65536
# What becoming a snapshot takes; an interpreter without `ctypes` serves without.
BOOTED_WHERE_THEY_ARE = ("_lambent.snapshot",)
# Longer than it takes from a copy's birth to its function where a call waits for it, also on a busy host.
SOON_MS = 200

# What the reference's own client has imported before it loads a handler, and what nearly every handler imports.
BOOTED = (
    "os",
    "json",
    "logging",
    "time",
    "re",
    "traceback",
    "datetime",
    "decimal",
    "importlib.machinery",
    "select",
    "_lambent.context",
    "_lambent.faults",
    "_lambent.records",
)


def wait():
    """Returns at once when this process was started for a function."""
    descriptor = posix.environ.get(HANDOVER)
    if descriptor is None:
        return
    for name in BOOTED:
        __import__(name)
    for name in BOOTED_WHERE_THEY_ARE:
        try:
            __import__(name)
        except ImportError:
            pass
    import json

    from _lambent import rehearsal

    rehearsal.rehearse()
    if ZYGOTE in posix.environ:
        from _lambent import zygote

        zygote.serve(int(posix.environ[ZYGOTE]))
        # What a copy writes to for the first time is copied then. One that waits for a while does so ahead; one that
        # was made for a call has no time for it.
        if not _comes_soon(int(descriptor)):
            rehearsal.rehearse()
            _settle()
    else:
        _settle()
    become(json.loads(_read_to_end(int(descriptor))))


def _comes_soon(descriptor):
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(SOON_MS))


def _settle():
    """What has been made so far lives as long as the process: no later collection needs to look at it."""
    import gc

    gc.collect()
    gc.freeze()


def _read_to_end(descriptor):
    parts = []
    while part := posix.read(descriptor, READ_BYTES):
        parts.append(part)
    posix.close(descriptor)
    if not parts:
        # The node gave this cell up.
        posix._exit(0)
    return b"".join(parts)


def become(told):
    import os
    import time

    # Through `os`, which changes the process's own environment with it; children inherit that one. Its
    # dictionary is the one of `posix`, so nothing may be removed there first.
    os.environ.clear()
    os.environ.update(told["env"])
    time.tzset()
    os.chdir(told["cwd"])
