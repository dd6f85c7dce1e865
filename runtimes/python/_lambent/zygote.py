"""The process that parked runtimes are copies of: they share what it has imported and rehearsed.

It is started with a socket and with the two capabilities that entering sandboxes takes. It knows no function and never
will: an order is a sandbox, and what the copy is told is told inside of it. Each copy closes what it has of this
process, enters the sandbox's control groups and namespaces, gives up everything that the sandbox's first process has a
program give up, in the same order, and reports to that process, which asks the kernel whether that is so. Then it goes
on as a parked runtime does. It can neither see nor signal this process or another copy: they live in other pid and user
namespaces.

A copy's parent is the sandbox's first process: a process in between is born there and ends at once.

The C library is called directly (`ctypes`) where Python has no function. An interpreter without that module, or a host
that refuses a step, starts its runtimes anew.
"""

import _socket
import ctypes
import gc
import json
import posix
import resource
from fcntl import fcntl

MESSAGE_BYTES = 131072
DESCRIPTORS_MAX = 32

# Where a copy has what it is told with, and its line while it needs it.
OUTPUT, FRAMES, HANDOVER = (1, 2), 3, 4
OUT_OF_THE_WAY = 64

# Linux, the same on every architecture.
CLONE_NEWPID = 0x20000000
# mount, cgroup, uts, ipc, user, net
NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x40000000
F_DUPFD_CLOEXEC = 1030
PROT_READ, PROT_WRITE, PROT_EXEC, MAP_PRIVATE_ANONYMOUS = 1, 2, 4, 0x22
O_PATH = 0o10000000
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2
CAPABILITIES_VERSION = 0x20080522
CLOSE_RANGE = 436
SCHED_ATTR_BYTES, SCHED_FLAG_KEEP_POLICY = 48, 0x08
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_ASK_VERSION = 1
LANDLOCK_PATH_BENEATH = 1
EINVAL = 22

# What landlock may keep from a program, by the version that knew it first: writing, removing and making; moving;
# truncating; commands to devices.
WRITE, REMOVE_AND_MAKE, MOVE, TRUNCATE, COMMAND = 1 << 1, 0x1FF0, 1 << 13, 1 << 14, 1 << 15
# Places where files may be made, changed and removed, and places whose files may be written to.
WRITABLE, SETTABLE = ("/tmp", "/dev/shm"), ("/dev", "/proc")


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


class Failed(Exception):
    def __init__(self, what, errno):
        super().__init__(what)
        self.what = what
        self.errno = errno


def serve(descriptor):
    """Comes back in a copy that stands confined in its sandbox."""
    zygote = Zygote(_socket.socket(fileno=descriptor))
    gc.collect()
    # No later collection looks at what copies share, and so none writes to it.
    gc.freeze()
    zygote.serve()


class Zygote:
    def __init__(self, orders):
        self._orders = orders
        told = json.loads(_receive(orders)[0])
        self._uid, self._gid = told["uid"], told["gid"]
        self._processes_max = told["processes_max"]
        code = bytes.fromhex(told["filter"])
        self._code = ctypes.create_string_buffer(code, len(code))
        self._filter = _Filter(len(code) // 8, ctypes.addressof(self._code))
        self._c = ctypes.CDLL(None, use_errno=True)
        self._c.syscall.restype = ctypes.c_long
        # As `struct sched_attr`: length, policy, flags, nice, priority, and the turn's length, 0 for the usual one.
        self._sched_setattr = told["sched_setattr"]
        self._turns = bytearray(SCHED_ATTR_BYTES)
        self._turns[0:4] = SCHED_ATTR_BYTES.to_bytes(4, "little")
        self._turns[8:16] = SCHED_FLAG_KEEP_POLICY.to_bytes(8, "little")
        self._bear = _bearer(self._c, bytes.fromhex(told["birth"]))
        self._home = posix.pidfd_open(posix.getpid())
        # Only who owns a namespace enters it: an ordinary user's zygote could not come back to the host's.
        self._comes_back = self._c.setns(self._home, CLONE_NEWPID) == 0
        self._landlock = self._c.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_ASK_VERSION)

    def serve(self):
        """Comes back in copies only."""
        self._orders.send(b'"Ready"')
        while True:
            text, descriptors = _receive(self._orders)
            if not text:
                posix._exit(0)
            try:
                if self._copy(descriptors):
                    return
            finally:
                # The copy has closed its own.
                for descriptor in descriptors:
                    posix.close(descriptor)

    def _copy(self, descriptors):
        """True in the copy. Where there is none, the line closes, which says enough."""
        sandbox, line, *entrances = descriptors
        if not self._comes_back and (messenger := posix.fork()):
            posix.waitpid(messenger, 0)
            return False
        if self._c.setns(sandbox, CLONE_NEWPID) != 0:
            return self._stay()
        in_zygote = True
        try:
            in_zygote = self._bear()
        except OSError:
            pass
        if in_zygote:
            return self._stay()
        descriptors.clear()
        self._become(sandbox, line, entrances)
        return True

    def _stay(self):
        # Else the next copy would land in this one's sandbox.
        if not self._comes_back or self._c.setns(self._home, CLONE_NEWPID) != 0:
            posix._exit(1)
        return False

    # ---- In a copy --------------------------------------------------------------------------------------------

    def _become(self, sandbox, line, entrances):
        """Any failure ends the process: a copy that is not confined must not go on."""
        line = _socket.socket(fileno=line)
        try:
            self._orders.close()
            for entrance in entrances:
                posix.write(entrance, b"0")
            self._check("enter a sandbox", self._c.setns(sandbox, NAMESPACES))
            # It comes when the places are furnished.
            text, pipes = _receive(line)
            if not text:
                posix._exit(0)
            _be_the_first_to_go()
            line = self._arrange(line, pipes)
            self._give_up_privileges()
            self._take_usual_turns()
            posix.chdir(json.loads(text)["cwd"])
            self._restrict_writing()
            code = ctypes.byref(self._filter)
            self._check(
                "install the system call filter",
                self._c.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, code, ctypes.c_ulong(0), ctypes.c_ulong(0)),
            )
            line.send(b'{"Confined":{"pid":%d}}' % posix.getpid())
            line.close()
        except BaseException as error:
            what, errno = type(error).__name__, getattr(error, "errno", None)
            what = "confine a copy: " + (error.what if isinstance(error, Failed) else what)
            try:
                line.send(json.dumps({"Failed": {"what": what, "errno": errno}}).encode())
            finally:
                posix._exit(127)

    def _arrange(self, line, pipes):
        """Those of a program and no other descriptor; and the line, above them."""
        null = posix.open("/dev/null", posix.O_RDONLY | posix.O_CLOEXEC)
        aside = [fcntl(given, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY) for given in (null, *pipes, line.detach())]
        null, output, frames, handover, line = aside
        for given, numbers in ((null, (0,)), (output, OUTPUT), (frames, (FRAMES,)), (handover, (HANDOVER,))):
            for number in numbers:
                posix.dup2(given, number)
        own = posix.dup2(line, HANDOVER + 1, inheritable=False)
        # Python has a function for it, which before 3.10 takes them one by one.
        first, last = ctypes.c_uint(own + 1), ctypes.c_uint(0xFFFFFFFF)
        self._check("close what it has of its zygote", self._c.syscall(CLOSE_RANGE, first, last, 0))
        posix.setsid()
        return _socket.socket(fileno=own)

    def _give_up_privileges(self):
        most = (self._processes_max, self._processes_max)
        resource.setrlimit(resource.RLIMIT_NPROC, most)
        for capability in range(64):
            if self._c.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), *_NOTHING) != 0:
                if ctypes.get_errno() != EINVAL:
                    raise Failed("drop a capability", ctypes.get_errno())
                # Past the last one that this kernel knows.
                break
        try:
            posix.setgroups([])
        except PermissionError:
            # Where the kernel forbids it, they are the node's own user's.
            pass
        posix.setresgid(self._gid, self._gid, self._gid)
        posix.setresuid(self._uid, self._uid, self._uid)
        self._c.prctl(PR_CAP_AMBIENT, ctypes.c_ulong(PR_CAP_AMBIENT_CLEAR_ALL), *_NOTHING)
        header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0)
        nothing = (ctypes.c_uint32 * 6)()
        self._check("give up capabilities", self._c.capset(ctypes.byref(header), ctypes.byref(nothing)))
        # The change of user made its own files in /proc somebody else's.
        dumpable = self._c.prctl(PR_SET_DUMPABLE, ctypes.c_ulong(1), *_NOTHING)
        self._check("own its files in /proc", dumpable)

    def _take_usual_turns(self):
        """The zygote has shorter ones, where the kernel knows of such."""
        nice = posix.getpriority(posix.PRIO_PROCESS, 0)
        self._turns[16:20] = nice.to_bytes(4, "little", signed=True)
        self._c.syscall(self._sched_setattr, 0, ctypes.c_char_p(bytes(self._turns)), ctypes.c_uint(0))

    def _restrict_writing(self):
        version = self._landlock
        if version < 1:
            return
        settable = WRITE
        settable |= TRUNCATE if version >= 3 else 0
        settable |= COMMAND if version >= 5 else 0
        everything = settable | REMOVE_AND_MAKE
        everything |= MOVE if version >= 2 else 0
        handled = ctypes.c_uint64(everything)
        what = "confine what it may write to"
        rules = self._c.syscall(LANDLOCK_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(8), 0)
        self._check(what, rules)
        for places, allowed in ((WRITABLE, everything), (SETTABLE, settable)):
            for place in places:
                descriptor = posix.open(place, O_PATH | posix.O_CLOEXEC)
                beneath = ctypes.byref(_Beneath(allowed, descriptor))
                added = self._c.syscall(LANDLOCK_ADD_RULE, rules, LANDLOCK_PATH_BENEATH, beneath, 0)
                self._check(what, added)
                posix.close(descriptor)
        self._check(what, self._c.syscall(LANDLOCK_RESTRICT_SELF, rules, 0))
        posix.close(rules)

    def _check(self, what, result):
        if result < 0:
            raise Failed(what, ctypes.get_errno())


_NOTHING = (ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))


def _bearer(c, code):
    """As `_fork`, by code that spares copying this process for the one between, where such code may run."""
    if not code:
        return _fork
    c.mmap.restype = ctypes.c_void_p
    length = ctypes.c_size_t(len(code))
    place = c.mmap(None, length, PROT_READ | PROT_WRITE, MAP_PRIVATE_ANONYMOUS, -1, ctypes.c_long(0))
    if place in (None, ctypes.c_void_p(-1).value):
        return _fork
    ctypes.memmove(place, code, len(code))
    if c.mprotect(ctypes.c_void_p(place), length, PROT_READ | PROT_EXEC) != 0:
        return _fork
    # Both with the interpreter's lock held, and its own hooks around them, as its `fork` does.
    birth = ctypes.PYFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(place)
    fork = ctypes.cast(c.fork, ctypes.c_void_p)
    hooks = ctypes.pythonapi
    before, in_parent, in_child = hooks.PyOS_BeforeFork, hooks.PyOS_AfterFork_Parent, hooks.PyOS_AfterFork_Child
    before.restype = in_parent.restype = in_child.restype = None

    def bear():
        before()
        between = birth(fork)
        if between == 0:
            in_child()
            c.munmap(ctypes.c_void_p(place), length)
            return False
        in_parent()
        if between > 0:
            posix.waitpid(between, 0)
        return True

    return bear


def _fork():
    """True in the zygote, False in the copy."""
    between = posix.fork()
    if between:
        posix.waitpid(between, 0)
        return True
    try:
        copy = posix.fork()
    except BaseException:
        posix._exit(1)
    if copy:
        posix._exit(0)
    return False


def _be_the_first_to_go():
    """When memory runs out, so that the sandbox's first process lives to tell of it."""
    descriptor = posix.open("/proc/self/oom_score_adj", posix.O_WRONLY | posix.O_CLOEXEC)
    posix.write(descriptor, b"1000")
    posix.close(descriptor)


def _receive(socket):
    text, ancillary, _, _ = socket.recvmsg(MESSAGE_BYTES, _socket.CMSG_SPACE(4 * DESCRIPTORS_MAX))
    descriptors = []
    for level, kind, packed in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            packed = memoryview(packed[: len(packed) // 4 * 4]).cast("i")
            descriptors.extend(packed)
    return text, descriptors
