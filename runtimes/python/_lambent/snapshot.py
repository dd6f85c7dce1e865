"""SnapStart: a function's init becomes an image, and later processes become what it was.

`make` is for the process that runs the init of a version when that is published: it runs the hooks, sees whether
anything stands in the way, and sends the image to the node. `resume` is for a process that is to serve a version whose
image there is. Both end in `_go_on`, in the process that was restored: it has other descriptors, another identity and
other secrets than the one that was captured, and must not draw its random numbers.

`image` is the memory; here is everything else that a process has.
"""

import posix
import sys

from _lambent import image, wire

VARIABLE = "_LAMBENT_SNAPSHOT"
HOOKS = "snapshot_restore_py"

# How the reference's client ends after a hook that failed.
BEFORE_FAILED, AFTER_FAILED = 64, 65

# What every environment has: input, output, errors, frames of logs.
ALWAYS_OPEN = frozenset(range(4))
# Devices that are the same everywhere.
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# Places that are an environment's own, and that a restored one finds empty.
OWN_PLACES = ("/tmp", "/dev/shm")
SEEK_SET, SEEK_CURRENT = 0, 1
SHOWN_MAX = 5


# ---- When a version is published ----------------------------------------------------------------------------------


def make(api, sink):
    """Sends the image and ends. Comes back, with a client of the Runtime API, in restored processes only."""
    report = _run(_before())
    if report is not None:
        sink.error(report)
        _report(api.before_snapshot_error, report)
        sys.exit(BEFORE_FAILED)
    import gc
    import os

    gc.collect()
    # Later collections don't look at it, and so don't write to it: it stays shared.
    gc.freeze()
    variables = dict(os.environ)
    words = None
    try:
        opened = _look(api)
        umask = posix.umask(0)
        posix.umask(umask)
        cwd = posix.getcwd()
        api.begin_snapshot()
        words = image.capture(api.chunk)
    except (image.Refused, OSError) as error:
        _refuse(api, str(error))
    if words is None:
        api.end_snapshot()
        sys.exit(0)
    api.forget()
    return _go_on(words, variables, opened, cwd, umask, sink)


def _refuse(api, reason):
    api.disconnect()
    api.refuse_snapshot(reason.encode("utf-8", "replace"))
    sys.exit(0)


def _before():
    hooks = sys.modules.get(HOOKS)
    callables = hooks.get_before_snapshot() if hooks else []
    while callables:
        # The last one that was registered comes first.
        yield callables.pop()


def _after():
    hooks = sys.modules.get(HOOKS)
    yield from hooks.get_after_restore() if hooks else ()


def _run(hooks):
    """`None`, or the report of the hook that failed."""
    try:
        for function, arguments, named in hooks:
            function(*arguments, **named)
    except BaseException as error:
        from _lambent import faults

        return faults.of_exception(error)
    return None


def _report(send, report):
    from _lambent import values

    send(values.encode(report))


def _look(api):
    """What is open and can be opened again, or `Refused` with all that stands in the way."""
    obstacles = [*_threads(), *_children(), *_timers(), *_files_of_its_own()]
    opened = []
    for descriptor in sorted(map(int, posix.listdir("/proc/self/fd"))):
        if descriptor in ALWAYS_OPEN or descriptor == api.descriptor():
            continue
        try:
            name = posix.readlink("/proc/self/fd/%d" % descriptor)
        except OSError:
            # That of the listing itself.
            continue
        again = _again(descriptor, name)
        if again is not None:
            opened.append(again)
        else:
            obstacles.append("descriptor %d is %s" % (descriptor, _described(descriptor, name)))
    if obstacles:
        raise image.Refused("; ".join(obstacles))
    return opened


def _threads():
    numbers = posix.listdir("/proc/self/task")
    if len(numbers) == 1:
        return
    threading = sys.modules.get("threading")
    known = {str(thread.native_id): thread.name for thread in threading.enumerate()} if threading else {}
    others = [number for number in numbers if int(number) != posix.getpid()]
    names = [known.get(number) or _first_line("/proc/self/task/%s/comm" % number) for number in others]
    yield "%d other thread%s running: %s" % (len(names), " is" if len(names) == 1 else "s are", _some(names))


def _children():
    listed = [_first_line("/proc/self/task/%s/children" % number) for number in posix.listdir("/proc/self/task")]
    children = " ".join(listed).split()
    if children:
        names = [_first_line("/proc/%s/comm" % child) for child in children]
        yield "%d child process%s: %s" % (len(names), "" if len(names) == 1 else "es", _some(names))


def _timers():
    import signal

    for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF"):
        if signal.getitimer(getattr(signal, name))[0]:
            yield "the timer %s runs" % name
    if _first_line("/proc/self/timers"):
        yield "a timer that timer_create made is there"


def _files_of_its_own():
    for place in OWN_PLACES:
        names = sorted(posix.listdir(place))
        # What mkfs puts into every file system.
        names = [place + "/" + name for name in names if name != "lost+found"]
        if names:
            yield "files that a restored environment would not have: %s" % _some(names)


def _again(descriptor, name):
    """How to open it again: number, name, flags, position."""
    import fcntl
    import stat

    about = posix.fstat(descriptor)
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if stat.S_ISCHR(about.st_mode):
        return (descriptor, name, flags, 0) if name in DEVICES else None
    is_plain = stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)
    is_read = flags & posix.O_ACCMODE == posix.O_RDONLY
    if not (is_plain and is_read and about.st_nlink) or name.startswith(image.FLEETING):
        return None
    position = posix.lseek(descriptor, 0, SEEK_CURRENT) if stat.S_ISREG(about.st_mode) else 0
    return descriptor, name, flags, position


def _described(descriptor, name):
    if name.startswith("socket:"):
        return _socket(descriptor)
    if name.startswith("pipe:"):
        return "a pipe"
    if name.startswith("anon_inode:"):
        return "an " + name.removeprefix("anon_inode:").strip("[]")
    return "the open file " + name


def _socket(descriptor):
    import _socket as sockets

    try:
        found = sockets.socket(fileno=posix.dup(descriptor))
    except OSError:
        return "a socket"
    try:
        families = {sockets.AF_UNIX: "a local", sockets.AF_INET: "an IPv4", sockets.AF_INET6: "an IPv6"}
        family = families.get(found.family, "a")
        kind = {sockets.SOCK_STREAM: "stream ", sockets.SOCK_DGRAM: "datagram "}.get(found.type, "")
        try:
            peer = found.getpeername()
            to = " connected to " + ("%s:%d" % peer[:2] if isinstance(peer, tuple) else str(peer) or "another one")
        except OSError:
            to = ""
        return "%s %ssocket%s" % (family, kind, to)
    finally:
        found.close()


def _first_line(path):
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return posix.read(descriptor, 4096).decode("utf-8", "replace").partition("\n")[0].strip()
    except OSError:
        return ""
    finally:
        posix.close(descriptor)


def _some(names):
    shown = ", ".join(names[:SHOWN_MAX])
    return shown if len(names) <= SHOWN_MAX else "%s and %d more" % (shown, len(names) - SHOWN_MAX)


# ---- When an environment is needed --------------------------------------------------------------------------------


def resume(path):
    """Becomes what the image holds, or answers why it can't be used."""
    import json

    variables = {_text(name): _text(value) for name, value in posix.environ.items()}
    try:
        found = image.Image(path)
        try:
            found.check()
            found.restore(json.dumps(variables).encode())
        finally:
            found.close()
    except (image.Refused, OSError, KeyError, TypeError) as error:
        return str(error)


def _text(value):
    return value.decode("utf-8", "surrogateescape")


def _go_on(words, before, opened, cwd, umask, sink):
    """In a process that was restored."""
    import json
    import os

    told = json.loads(words)
    for name, value in told.items():
        # What the init itself has changed stays so.
        if before.get(name) != value:
            os.environ[name] = value
    os.environ.pop(VARIABLE, None)
    posix.umask(umask)
    posix.chdir(cwd)
    _reseed()
    api = wire.Api(told["AWS_LAMBDA_RUNTIME_API"])
    # From here on it is the function's own time.
    api.connect()
    report = _open_again(opened, api) or _run(_after())
    if report is not None:
        sink.error(report)
        _report(api.restore_error, report)
        sys.exit(AFTER_FAILED)
    return api


def _open_again(opened, api):
    api.move_above(max((number for number, *_ in opened), default=0))
    try:
        for number, name, flags, position in opened:
            descriptor = posix.open(name, flags | posix.O_CLOEXEC)
            if descriptor != number:
                posix.dup2(descriptor, number, inheritable=False)
                posix.close(descriptor)
            if position:
                posix.lseek(number, position, SEEK_SET)
    except OSError as error:
        from _lambent import faults

        return faults.of_exception(error)
    return None


def _reseed():
    """All restored processes have the state that the one before them had; none may draw the numbers of another."""
    modules = sys.modules
    if (random := modules.get("random")) is not None:
        random.seed()
    if (ssl := modules.get("_ssl")) is not None:
        # OpenSSL notices that a process was copied by its number, which may be the same here.
        ssl.RAND_add(posix.urandom(64), 64.0)
    if (tempfile := modules.get("tempfile")) is not None:
        tempfile._name_sequence = None
    if (uuid := modules.get("uuid")) is not None:
        uuid._last_timestamp = None
    if (numbers := modules.get("numpy.random")) is not None:
        try:
            numbers.seed()
        except Exception:
            pass
