"""The trace of the running call, as a variable of the environment.

Python code reads it from `os.environ`, whose dictionary is changed here. The process's own environment, which only
child processes inherit, is brought up to date when one is about to start: the C library keeps every value that a
variable ever had, so that setting it for each call would lose some hundred bytes a call.
"""

import posix
import sys

_NAME = "_X_AMZN_TRACE_ID"
_KEY = b"_X_AMZN_TRACE_ID"

# The audit events behind which the process's environment is read.
_READERS = frozenset(
    (
        "subprocess.Popen",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.system",
        # C code that is loaded by hand may read it whenever it likes; it sees the call that loads it.
        "ctypes.dlopen",
    )
)

_stale = False


def watch():
    sys.addaudithook(_on_event)


def tell(header):
    global _stale
    if header is None:
        posix.environ.pop(_KEY, None)
    else:
        posix.environ[_KEY] = header.encode("utf-8", "surrogateescape")
    _stale = True


def _on_event(event, _arguments):
    if _stale and event in _READERS:
        _bring_up_to_date()


def _bring_up_to_date():
    global _stale
    _stale = False
    value = posix.environ.get(_KEY)
    if value is None:
        posix.unsetenv(_NAME)
    else:
        posix.putenv(_KEY, value)
