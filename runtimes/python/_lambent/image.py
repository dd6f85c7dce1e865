"""A process of one thread as a file, and a process that becomes it: SnapStart's memory.

What is taken: the registers that a function call keeps, all private memory that was written to, and which files are
mapped where. Not taken: descriptors, threads, children, timers; whoever takes an image has made sure that there are
none that matter (`snapshot`).

`capture` copies the process (by its own code: `fork` of the C library would run handlers), so that the image is of one
moment, and reads the copy's memory. The image is a list of system calls, made then, with which any process of this
user and of this kernel turns itself into the one that was captured, and the pages that these calls map. `restore`
makes them: it adds what only the new process knows (where the kernel has put its own pages) and jumps into forty
instructions that read the list and nothing else. It gives nothing up and gains nothing: whatever confines the new
process confines what it becomes, and a list that somebody forged can do what any code in its sandbox can.

Nothing here trusts the image to fit: `check` refuses one that doesn't, before anything is touched. (Kernel and
processor are the node's to compare: they don't change while it runs.) Later there is no way back: a call that fails
ends the process.
"""

import ctypes
import json
import posix
import sys

PAGE = 4096
FORMAT = 1

# x86-64. `save` (at 0) keeps the registers in the area that it is given and makes a copy of the process, which waits:
# it answers the copy's number, and 0 in a process that was restored. `restore` (at 0x54) makes a list of calls and then
# takes the registers out of the area that the list ends with.
CODE = bytes.fromhex(
    # save: the registers that the caller wants back; the stack as the return leaves it; where to return to
    "48891f48896f084c8967104c896f184c8977204c897f28488d442408488947"
    "30488b0424488947380fae5f40d97f44"
    # clone(SIGCHLD, 0, 0, 0, 0); ret in the parent, pause() for ever in the copy
    "b838000000bf1100000031f631d24531d24531c00f054885c07401c3b8220000000f05ebf7"
    # restore: for each of 64 bytes: -1 ends, -2 goes on elsewhere, else a system call, and a place for its answer
    "4889fb488b034883f8ff743f4883f8fe7506488b5b08ebeb488b7b08488b7310488b53184c8b53204c8b43284c8b4b300f05"
    "483d01f0ffff733c488b4b384885c9740289014883c340ebb8"
    # the registers, and on where `save` was called
    "488b7b08488b1f488b6f084c8b67104c8b6f184c8b77204c8b7f280fae5740d96f44488b673031c0ff6738"
    # a call that failed: exit_group(70)
    "bf46000000b8e70000000f050f0b"
)
RESTORE = 0x54
# What a process ends with that failed on the way.
FAILED = 70
# Of the area: where `save` keeps the floating-point state.
AREA_BYTES = 128

# A place that no program's memory is at: below what the kernel gives out, above what starts low.
PLACE = 0x200000000000
# The calls of this restore, and the words for who was restored, behind the image's own.
LATE = PLACE + 0x4000000
SPAN = 0x8000000
TASK_END = 0x7FFFFFFFF000

# Runs of pages are taken as one when less than this lies between them.
GAP_PAGES = 32
# Of memory, at a time.
PIECE = 1 << 20

# Descriptors while a process is restored.
IMAGE_FD, FILE_FD = 4, 5

END, GO_ON = (1 << 64) - 1, (1 << 64) - 2
OPENAT, CLOSE, MMAP, MUNMAP, BRK = 257, 3, 9, 11, 12
PREAD, MREMAP, MADVISE, DUP2 = 17, 25, 28, 33
SIGACTION, SIGPROCMASK, SIGALTSTACK = 13, 14, 131
PRCTL, ARCH_PRCTL, SET_TID_ADDRESS = 157, 158, 218
SET_ROBUST_LIST, GET_ROBUST_LIST, RSEQ, CLOSE_RANGE = 273, 274, 334, 436

AT_FDCWD = (1 << 64) - 100
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS, MAP_GROWSDOWN = 1, 2, 0x10, 0x20, 0x100
MAP_NORESERVE, MAP_FIXED_NOREPLACE, MAP_DROPPABLE = 0x4000, 0x100000, 8
MREMAP_MAYMOVE_FIXED = 3
MADV_WIPEONFORK = 18
PR_SET_MM, PR_SET_MM_MAP, PR_GET_TID_ADDRESS = 35, 14, 40
ARCH_GET_FS, ARCH_SET_FS = 0x1003, 0x1002
RSEQ_UNREGISTER, RSEQ_SIGNATURE = 1, 0x53053053
SIG_SETMASK, SIGNALS, SIGNAL_SET_BYTES = 2, 64, 8
SIGKILL, SIGSTOP = 9, 19

PRESENT, SWAPPED, OF_FILE = 1 << 63, 1 << 62, 1 << 61

# Places whose files are a function's own: their names and sizes are those of its package, whose digest is checked
# elsewhere; when they were unpacked means nothing.
PACKAGES = ("/var/task/", "/opt/")
# Places that a restored process finds empty.
FLEETING = ("/tmp/", "/dev/shm/", "/memfd:", "/dev/zero", "/SYSV", "/proc/", "anon_inode:")


class Refused(Exception):
    """This process can't be an image, or this image no process; the text says why, for people."""


def is_possible():
    return posix.uname().machine == "x86_64" and sys.platform == "linux" and sys.maxsize > 1 << 32


class Mapping:
    __slots__ = ("start", "end", "access", "offset", "name", "flags")

    def __init__(self, start, end, access, offset, name):
        self.start, self.end, self.access, self.offset, self.name = start, end, access, offset, name
        self.flags = ()

    @property
    def protection(self):
        read, write, execute = (self.access[at] != "-" for at in range(3))
        return read * PROT_READ | write * PROT_WRITE | execute * PROT_EXEC

    @property
    def is_kernels(self):
        return self.name == "[vdso]" or self.name.startswith("[vvar")

    @property
    def is_file(self):
        return self.name.startswith("/")


def _read(path):
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        parts = []
        while part := posix.read(descriptor, 1 << 18):
            parts.append(part)
        return b"".join(parts)
    finally:
        posix.close(descriptor)


def mappings(text):
    """Those of `/proc/PID/maps`, or of `smaps`, which tells their flags too."""
    found = []
    for line in text.decode("utf-8", "surrogateescape").splitlines():
        words = line.split(None, 5)
        if words[0].endswith(":"):
            if words[0] == "VmFlags:":
                found[-1].flags = tuple(words[1:5]) + tuple(words[5].split()) if len(words) > 5 else tuple(words[1:])
            continue
        start, _, end = words[0].partition("-")
        name = words[5] if len(words) > 5 else ""
        mapping = Mapping(int(start, 16), int(end, 16), words[1], int(words[2], 16), name)
        # Fixed, the same in every process.
        if name != "[vsyscall]":
            found.append(mapping)
    return found


def _c():
    c = ctypes.CDLL(None, use_errno=True)
    c.syscall.restype = ctypes.c_long
    c.mmap.restype = ctypes.c_void_p
    return c


def _map(c, place, length, protection, flags, descriptor=-1, offset=0):
    word = ctypes.c_size_t
    found = c.mmap(ctypes.c_void_p(place), word(length), protection, flags, descriptor, ctypes.c_long(offset))
    if found in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "mmap")
    return found


def _identity(path):
    about = posix.stat(path)
    return [path, about.st_size, None if path.startswith(PACKAGES) else about.st_mtime_ns]


# ---- Capturing ----------------------------------------------------------------------------------------------------


class _List:
    """System calls, and the memory that they point to, for a place that is known."""

    def __init__(self, place):
        self.place = place
        self.calls = []
        self.texts = []
        self._fixups = []

    def call(self, number, *arguments, keep=0):
        words = [number, *arguments]
        words += [0] * (7 - len(words)) + [keep]
        self.calls.append(words)

    def data(self, text):
        """A word that becomes the text's address."""
        self.texts.append(text)
        return _Text(len(self.texts) - 1)

    def pack(self):
        at = 64 * len(self.calls)
        places = []
        for text in self.texts:
            places.append(self.place + at)
            at += (len(text) + 15) // 16 * 16
        packed = bytearray()
        for words in self.calls:
            for word in words:
                word = places[word.number] if isinstance(word, _Text) else word
                packed += (word & END).to_bytes(8, "little")
        for text in self.texts:
            packed += text.ljust((len(text) + 15) // 16 * 16, b"\0")
        return bytes(packed)


class _Text:
    __slots__ = ("number",)

    def __init__(self, number):
        self.number = number


def capture(write):
    """Gives the image to `write` piece by piece and answers `None`; in a process that was restored from it, the words
    that `restore` was given. Raises `Refused` where this process can't be an image."""
    if not is_possible():
        raise Refused("snapshots are made on 64-bit x86 only")
    c = _c()
    place = _map(c, None, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
    ctypes.memmove(place + PAGE, CODE, len(CODE))
    if c.mprotect(ctypes.c_void_p(place + PAGE), ctypes.c_size_t(PAGE), PROT_READ | PROT_EXEC) != 0:
        raise Refused("this host allows no memory that is made executable")
    # With the interpreter's lock held throughout.
    save = ctypes.PYFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(place + PAGE)
    state = _State(c, place)
    copy = save(place)
    if copy == 0:
        length = ctypes.c_uint64.from_address(LATE).value
        words = ctypes.string_at(LATE + 8, length)
        c.munmap(ctypes.c_void_p(PLACE), ctypes.c_size_t(SPAN))
        c.munmap(ctypes.c_void_p(place), ctypes.c_size_t(2 * PAGE))
        return words
    if copy < 0:
        raise Refused("the process can't be copied: error %d" % -copy)
    try:
        _write_image(state, copy, write)
    finally:
        posix.kill(copy, SIGKILL)
        posix.waitpid(copy, 0)
    return None


class _State:
    """What the kernel keeps for this process beside its memory."""

    def __init__(self, c, area):
        self.area = area
        word = ctypes.c_uint64(0)
        self.brk = c.syscall(BRK, 0)
        c.syscall(ARCH_PRCTL, ARCH_GET_FS, ctypes.byref(word))
        self.fs = word.value
        head, length = ctypes.c_uint64(0), ctypes.c_uint64(0)
        c.syscall(GET_ROBUST_LIST, 0, ctypes.byref(head), ctypes.byref(length))
        self.robust_list = (head.value, length.value)
        if c.prctl(PR_GET_TID_ADDRESS, ctypes.byref(word), 0, 0, 0) != 0:
            raise Refused("this host's kernel can't restore processes (CONFIG_CHECKPOINT_RESTORE)")
        self.tid_address = word.value
        self.rseq = _rseq(c, self.fs)
        stack = ctypes.create_string_buffer(24)
        c.syscall(SIGALTSTACK, None, stack)
        self.signal_stack = stack.raw
        self.signals = []
        action = ctypes.create_string_buffer(32)
        for number in range(1, SIGNALS + 1):
            if number not in (SIGKILL, SIGSTOP):
                c.syscall(SIGACTION, number, None, action, ctypes.c_size_t(SIGNAL_SET_BYTES))
                self.signals.append((number, action.raw))
        mask = ctypes.create_string_buffer(8)
        c.syscall(SIGPROCMASK, SIG_SETMASK, None, mask, ctypes.c_size_t(SIGNAL_SET_BYTES))
        self.signal_mask = mask.raw


def _rseq(c, thread):
    """Where the C library has its restartable sequence, which the kernel writes to; `None` where it has none."""
    try:
        offset = ctypes.c_ssize_t.in_dll(c, "__rseq_offset").value
        size = ctypes.c_uint.in_dll(c, "__rseq_size").value
    except ValueError:
        return None
    # The library registers no less than this, whatever it says that it uses.
    return (thread + offset, max(32, size)) if size else None


def _stop_rseq(c):
    """The kernel writes to it no more: where it is there will be other memory. A copy of a process may have none, which
    its C library doesn't know."""
    word = ctypes.c_uint64(0)
    c.syscall(ARCH_PRCTL, ARCH_GET_FS, ctypes.byref(word))
    rseq = _rseq(c, word.value)
    if rseq:
        place, size = ctypes.c_void_p(rseq[0]), rseq[1]
        for length in {32, size, (size + 31) // 32 * 32}:
            c.syscall(RSEQ, place, ctypes.c_uint(length), RSEQ_UNREGISTER, ctypes.c_uint(RSEQ_SIGNATURE))


def _write_image(state, copy, write):
    folder = "/proc/%d/" % copy
    found = mappings(_read(folder + "smaps"))
    statistics = _read(folder + "stat").rpartition(b")")[2].split()
    # As proc(5) counts them, less the two that stand before.
    places = [int(statistics[at - 3]) for at in (26, 27, 45, 46, 47, 28, 48, 49, 50, 51)]
    pages = posix.open(folder + "pagemap", posix.O_RDONLY | posix.O_CLOEXEC)
    memory = posix.open(folder + "mem", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        plan = _Plan(state, places)
        for mapping in found:
            plan.add(mapping, pages)
        about, head = plan.finish(found)
        text = json.dumps(about).encode()
        write((len(text).to_bytes(8, "little") + text).ljust(about["first_bytes"], b"\0"))
        write(head)
        for start, end in plan.runs:
            for at in range(start, end, PIECE):
                write(_memory(memory, at, min(PIECE, end - at)))
    finally:
        posix.close(pages)
        posix.close(memory)


def _memory(descriptor, at, length):
    parts = []
    while length:
        part = posix.pread(descriptor, length, at)
        if not part:
            raise Refused("memory at %x can't be read" % at)
        parts.append(part)
        at, length = at + len(part), length - len(part)
    return b"".join(parts)


def _runs(pages, mapping):
    """The parts of a mapping that are memory and not a file's content."""
    first, count = mapping.start // PAGE, (mapping.end - mapping.start) // PAGE
    runs = []
    at = 0
    while at < count:
        words = posix.pread(pages, min(count - at, 1 << 16) * 8, (first + at) * 8)
        if not words:
            raise Refused("the pages of %s can't be looked at" % (mapping.name or "memory"))
        for index, word in enumerate(memoryview(words).cast("Q")):
            if word & (PRESENT | SWAPPED) and not word & OF_FILE:
                page = at + index
                if runs and page - runs[-1][1] <= GAP_PAGES:
                    runs[-1][1] = page + 1
                else:
                    runs.append([page, page + 1])
        at += len(words) // 8
    return [(mapping.start + start * PAGE, mapping.start + end * PAGE) for start, end in runs]


class _Plan:
    """The calls of an image in the making, and which memory it holds."""

    def __init__(self, state, places):
        self._state = state
        self._places = places
        self._list = _List(PLACE)
        # Mapped behind the list, whose length is not known yet: calls whose offset is to be moved by it.
        self._moved = []
        self._bytes = 0
        self._open = None
        self.runs = []
        self._files = {}

    def add(self, mapping, pages):
        if mapping.end > PLACE and mapping.start < PLACE + SPAN:
            raise Refused("the place of the snapshot's own calls is taken")
        if mapping.is_kernels:
            return
        if mapping.access[3] == "s":
            self._shared(mapping)
        elif mapping.is_file:
            runs = _runs(pages, mapping)
            # Of one that was written to from end to end nothing of the file shows.
            self._file(mapping, is_seen=runs != [(mapping.start, mapping.end)])
            self._saved(mapping, runs)
        else:
            self._anonymous(mapping, pages)

    def _shared(self, mapping):
        if not mapping.is_file or mapping.access[1] == "w" or _is_fleeting(mapping.name):
            raise Refused("memory that is shared with others or with a file: %s" % (mapping.name or "anonymous"))
        self._file(mapping, MAP_SHARED)

    def _file(self, mapping, kind=MAP_PRIVATE, is_seen=True):
        path = mapping.name
        if _is_fleeting(path):
            raise Refused("a mapped file that a restored process would not find: %s" % path)
        if path not in self._files:
            try:
                self._files[path] = _identity(path)
            except OSError:
                raise Refused("a mapped file that has gone: %s" % path) from None
        if not is_seen:
            return
        if path != self._open:
            self._close()
            name = self._list.data(path.encode("utf-8", "surrogateescape") + b"\0")
            self._list.call(OPENAT, AT_FDCWD, name, posix.O_RDONLY | posix.O_CLOEXEC)
            self._open = path
        length, flags = mapping.end - mapping.start, kind | MAP_FIXED | MAP_NORESERVE
        self._list.call(MMAP, mapping.start, length, mapping.protection, flags, FILE_FD, mapping.offset)

    def _close(self):
        if self._open is not None:
            self._list.call(CLOSE, FILE_FD)
            self._open = None

    def _anonymous(self, mapping, pages):
        length = mapping.end - mapping.start
        flags = MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE
        # Such memory is the kernel's to forget, and a copy finds it empty.
        is_droppable = "dp" in mapping.flags
        flags |= MAP_DROPPABLE if is_droppable else MAP_PRIVATE
        is_stack = "gd" in mapping.flags
        if is_stack:
            flags |= MAP_GROWSDOWN
        runs = [] if is_droppable or "wf" in mapping.flags else _runs(pages, mapping)
        protection = mapping.protection | (PROT_WRITE if is_stack else 0)
        if runs != [(mapping.start, mapping.end)] or is_stack:
            self._list.call(MMAP, mapping.start, length, protection, flags, END, 0)
        if "wf" in mapping.flags and not is_droppable:
            self._list.call(MADVISE, mapping.start, length, MADV_WIPEONFORK)
        if is_stack:
            # A stack that grows by itself is nobody's file.
            for start, end in runs:
                self._take(start, end)
                self._list.call(PREAD, IMAGE_FD, start, end - start, self._bytes)
                self._moved.append((len(self._list.calls) - 1, 4))
                self._bytes += end - start
        else:
            self._saved(mapping, runs)

    def _saved(self, mapping, runs):
        for start, end in runs:
            self._take(start, end)
            flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE
            self._list.call(MMAP, start, end - start, mapping.protection, flags, IMAGE_FD, self._bytes)
            self._moved.append((len(self._list.calls) - 1, 6))
            self._bytes += end - start

    def _take(self, start, end):
        self.runs.append((start, end))

    def finish(self, found):
        self._close()
        state, words = self._state, self._places
        start_code, end_code, start_data, end_data, start_brk, start_stack, *strings = words
        about_memory = [start_code, end_code, start_data, end_data, start_brk, state.brk, start_stack, *strings]
        packed = b"".join(word.to_bytes(8, "little") for word in about_memory)
        # Nothing new for the auxiliary vector and for the executable.
        packed += bytes(8) + bytes(4) + b"\xff\xff\xff\xff"
        last = self._list
        last.call(PRCTL, PR_SET_MM, PR_SET_MM_MAP, last.data(packed), len(packed))
        last.call(ARCH_PRCTL, ARCH_SET_FS, state.fs)
        last.call(SET_ROBUST_LIST, *state.robust_list)
        last.call(SET_TID_ADDRESS, state.tid_address, keep=state.tid_address)
        if state.rseq:
            last.call(RSEQ, *state.rseq, 0, RSEQ_SIGNATURE)
        last.call(SIGALTSTACK, last.data(state.signal_stack), 0)
        for number, action in state.signals:
            last.call(SIGACTION, number, last.data(action), 0, SIGNAL_SET_BYTES)
        last.call(CLOSE, IMAGE_FD)
        last.call(SIGPROCMASK, SIG_SETMASK, last.data(state.signal_mask), 0, SIGNAL_SET_BYTES)
        last.call(END, state.area)
        about = {
            "format": FORMAT,
            "own": [[m.name, m.start, m.end] for m in found if m.is_kernels],
            "files": list(self._files.values()),
        }
        # The pages come behind the description and the list, whose lengths depend on no number in them but these.
        head = len(self._list.pack())
        head += -head % PAGE + PAGE
        about |= {"head_bytes": head, "first_bytes": 1 << 60, "image_bytes": 1 << 60}
        first = len(json.dumps(about).encode()) + 8
        first += -first % PAGE
        for call, word in self._moved:
            self._list.calls[call][word] += first + head
        packed = self._list.pack()
        packed += bytes(-len(packed) % PAGE) + CODE.ljust(PAGE, b"\0")
        return about | {"first_bytes": first, "image_bytes": first + head + self._bytes}, packed


def _is_fleeting(path):
    return path.startswith(FLEETING) or path.endswith(" (deleted)")


# ---- Restoring ----------------------------------------------------------------------------------------------------


class Image:
    """An image in a file. Raises `Refused` when it isn't one."""

    def __init__(self, path):
        self._descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        first = posix.pread(self._descriptor, 1 << 16, 0)
        length = int.from_bytes(first[:8], "little")
        if len(first) < 8 + length:
            first += posix.pread(self._descriptor, min(length, 1 << 24), len(first))
        try:
            self._about = json.loads(first[8 : 8 + length])
            whole = posix.fstat(self._descriptor).st_size == self._about["image_bytes"]
        except (ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            raise Refused("the snapshot is damaged")

    def close(self):
        posix.close(self._descriptor)

    def check(self):
        """Refuses what this process can't become."""
        about = self._about
        if about["format"] != FORMAT:
            raise Refused("the snapshot is of another version of Lambent")
        for path, size, changed in about["files"]:
            try:
                found = posix.stat(path)
            except OSError:
                raise Refused("%s has gone since the snapshot was made" % path) from None
            if found.st_size != size or changed is not None and found.st_mtime_ns != changed:
                raise Refused("%s has changed since the snapshot was made" % path)

    def restore(self, words):
        """Becomes the process that was captured, whose `capture` answers `words`. Raises `Refused` or `OSError` while
        nothing has been changed; later failures end the process."""
        c = _c()
        now = mappings(_read("/proc/self/maps"))
        for mapping in now:
            if mapping.end > PLACE and mapping.start < PLACE + SPAN:
                raise Refused("the place of the snapshot's own calls is taken")
        own = [m for m in now if m.is_kernels]
        wanted = self._about["own"]
        if [[m.name, m.end - m.start] for m in own] != [[name, end - start] for name, start, end in wanted]:
            raise Refused("the kernel's own pages differ from those of the snapshot")
        late = self._late_calls(c, own, wanted, len(words))
        head, first = self._about["head_bytes"], self._about["first_bytes"]
        flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE
        code = PLACE + head - PAGE
        _map(c, PLACE, head - PAGE, PROT_READ | PROT_WRITE, flags, self._descriptor, first)
        _map(c, code, PAGE, PROT_READ | PROT_EXEC, flags, self._descriptor, first + head - PAGE)
        packed = late.pack()
        at = late.place - LATE
        _map(c, LATE, (at + len(packed) + PAGE) // PAGE * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS)
        ctypes.memmove(LATE, len(words).to_bytes(8, "little") + words, 8 + len(words))
        ctypes.memmove(late.place, packed, len(packed))
        _stop_rseq(c)
        ctypes.PYFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(code + RESTORE)(late.place)

    def _late_calls(self, c, own, wanted, length):
        """What only this process knows: it lets go of all that it has, but for the kernel's own pages, which move."""
        late = _List(LATE + (8 + length + 63) // 64 * 64)
        late.call(SIGPROCMASK, SIG_SETMASK, late.data(b"\xff" * 8), 0, SIGNAL_SET_BYTES)
        if self._descriptor != IMAGE_FD:
            late.call(DUP2, self._descriptor, IMAGE_FD)
        late.call(CLOSE_RANGE, IMAGE_FD + 1, 0xFFFFFFFF, 0)
        kept = sorted([(m.start, m.end) for m in own] + [(PLACE, PLACE + SPAN)])
        at = 0
        for start, end in kept:
            if start > at:
                late.call(MUNMAP, at, start - at)
            at = end
        late.call(MUNMAP, at, TASK_END - at)
        # By way of a place where neither the old nor the new ones are.
        aside = PLACE + SPAN
        for mapping, (_, start, end) in zip(own, wanted):
            if mapping.start != start:
                late.call(MREMAP, mapping.start, end - start, end - start, MREMAP_MAYMOVE_FIXED, aside)
                aside += end - start
        aside = PLACE + SPAN
        for mapping, (_, start, end) in zip(own, wanted):
            if mapping.start != start:
                late.call(MREMAP, aside, end - start, end - start, MREMAP_MAYMOVE_FIXED, start)
                aside += end - start
        late.call(GO_ON, PLACE)
        return late
