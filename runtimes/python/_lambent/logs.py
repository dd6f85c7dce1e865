"""What a function logs through `logging` and what the client itself logs, one frame an event.

A frame keeps the lines of one record together: 4 bytes type, 4 bytes length, 8 bytes microseconds, message,
big-endian. The type says text or JSON in its lowest bit and the level in the bits above. What a function
prints goes straight to stdout and is no business of this module.
"""

import posix
import sys
import time

TEXT = 0xA55A0003
JSON = 0xA55A0002
# By a level's number in `logging`, tens.
LEVEL_BITS = {0: 0, 10: 0x08, 20: 0x0C, 30: 0x10, 40: 0x14, 50: 0x18}


class Sink:
    def __init__(self, fd, format_name, level_name):
        self.is_json = (format_name or "").upper() == "JSON"
        # `logging` has no TRACE.
        self.level = "" if level_name is None else "DEBUG" if level_name == "TRACE" else level_name.upper()
        self.request_id = None
        self.tenant_id = None
        self._fd = None if fd is None else int(fd)
        if self._fd is not None:
            posix.set_inheritable(self._fd, False)

    def log(self, message, kind=TEXT):
        if self._fd is None:
            sys.stdout.write(message)
            return
        data = message.encode("utf-8", "backslashreplace")
        frame = b"".join(
            (
                kind.to_bytes(4, "big"),
                len(data).to_bytes(4, "big"),
                (time.time_ns() // 1000).to_bytes(8, "big"),
                data,
            )
        )
        sent = posix.write(self._fd, frame)
        while sent < len(frame):
            frame = frame[sent:]
            sent = posix.write(self._fd, frame)

    def error(self, report):
        """An error that is also answered to the caller, in the form that the reference's runtime logs it."""
        if self.is_json:
            from _lambent import values

            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            line = values.encode({"timestamp": stamp, "level": "ERROR", **report}).decode()
            self.log(line if self._fd is not None else line + "\n", JSON | LEVEL_BITS[40])
            return
        title = "[ERROR] " + report["errorType"]
        if report["errorMessage"]:
            title += ": " + report["errorMessage"]
        lines = [title, "Traceback (most recent call last):"]
        for entry in report["stackTrace"]:
            lines += [_indent(line) for line in entry.splitlines()] if entry else [""]
        # Without frames, a carriage return is what keeps the lines in one event.
        message = "\n".join(lines) if self._fd is not None else "\r".join(lines) + "\n"
        self.log(message, TEXT | LEVEL_BITS[40])

    def client_failure(self, message):
        self.log("[ERROR] [%d] LAMBDA_RUNTIME %s\n" % (time.time_ns() // 1000000, message), TEXT)


def _indent(line):
    bare = line.lstrip(" ")
    # Log viewers collapse leading spaces; the reference writes no-break spaces.
    return "\u00a0" * (len(line) - len(bare)) + bare


def install(sink):
    """Sets up the root logger at the moment in which `logging` is imported, and costs nothing before."""
    if "logging" in sys.modules:
        _set_up(sink)
    else:
        sys.meta_path.insert(0, _Watch(sink))


def _set_up(sink):
    from _lambent import records

    records.install(sink)


class _Watch:
    """A finder that waits for `logging`."""

    def __init__(self, sink):
        self._sink = sink

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        # The standard library's, also when the package has a module of this name: in the reference it is
        # imported before the package can be.
        standard = [p for p in sys.path if p.endswith("/python%d.%d" % sys.version_info[:2])]
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, standard or path, target) if find else None
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader, self._sink)
                return spec
        return None


class _Loader:
    """The real loader, with a word to say at the end."""

    def __init__(self, real, sink):
        self._real = real
        self._sink = sink

    def __getattr__(self, name):
        return getattr(self._real, name)

    def create_module(self, spec):
        return self._real.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._real
        self._real.exec_module(module)
        _set_up(self._sink)
