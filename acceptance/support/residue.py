"""What a node that is down may not have left: processes, control groups, mounts, loop devices, files."""

import base64
import hashlib
import os
import time
from pathlib import Path

from support import trees


def instance(data):
    """The name under which a node with this data directory keeps its control groups."""
    return hashlib.sha256(os.fsencode(Path(data).resolve())).hexdigest()[:12]


def control_groups(data):
    name = f"lambent-{instance(data)}"
    found = []
    for root, folders, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(root, folder) for folder in folders if folder.startswith(name)]
        # Sandboxes are below the instance's own folder, which is deep enough to tell.
        folders[:] = [folder for folder in folders if not folder.startswith(name)]
    return found


def sandbox_groups(data):
    """The control groups of single sandboxes, which are what a live node may have."""
    return [
        os.path.join(folder, name)
        for folder in control_groups(data)
        for name in trees.inside(folder)
        if os.path.isdir(os.path.join(folder, name))
    ]


def processes_in_groups(data):
    pids = set()
    for folder in control_groups(data):
        for path in trees.below(folder):
            if path.name != "cgroup.procs":
                continue
            try:
                pids |= {int(word) for word in path.read_text().split()}
            except OSError:
                continue
    return sorted(pids)


def environments_of(data, function):
    """What the live environments of a function are made of: processes, control groups, loop devices.

    A node keeps sandboxes, runtimes and volumes in stock, so that counting tells nothing of one function. Its
    package, which is mounted into its environments, does, as long as no other function has the same.
    """
    code = function.client.get_function_configuration(FunctionName=function.name)["CodeSha256"]
    marker = f"/{base64.b64decode(code).hex()} /var/task "
    made = {"processes": set(), "control groups": set(), "loop devices": set()}
    name = f"lambent-{instance(data)}/"
    for pid in processes_in_groups(data):
        entry = Path(f"/proc/{pid}")
        try:
            seen = (entry / "mountinfo").read_text()
            if marker not in seen:
                continue
            made["processes"].add(pid)
            for line in (entry / "cgroup").read_text().splitlines():
                if name in line:
                    made["control groups"] |= group_identities(data, line.rsplit(name, 1)[1])
            for line in seen.splitlines():
                if " /tmp " in line and "/dev/loop" in line:
                    made["loop devices"].add(loop_identity(line.split("/dev/", 1)[1].split()[0]))
        except OSError:
            continue
    return made


def group_identities(data, name):
    """A sandbox's control groups by their inodes: a restarted node begins to number anew."""
    found = set()
    for folder in control_groups(data):
        try:
            found.add(f"{folder}/{name}, inode {(Path(folder) / name).stat().st_ino}")
        except OSError:
            continue
    return found


def loop_identity(device):
    """A loop device with the serial number of what it holds, which the kernel never gives twice. The device's number
    is soon another's, and so is the name of a file without a name: it is made of an inode number, which is reused."""
    block = Path(f"/sys/block/{device}")
    try:
        held = (block / "loop/backing_file").read_text().strip()
    except OSError:
        return f"{device}: free"
    try:
        return f"{device}: number {(block / 'diskseq').read_text().strip()}, {held}"
    except OSError:
        return f"{device}: {held}"


def still_there(data, made):
    """What of an environment is there yet."""
    groups = {identity for folder in sandbox_groups(data) for identity in group_identities(data, Path(folder).name)}
    loops = {name for name in made["loop devices"] if loop_identity(name.split(":")[0]) == name}
    return {
        "processes": {pid for pid in made["processes"] if Path(f"/proc/{pid}").exists()},
        "control groups": made["control groups"] & groups,
        "loop devices": loops,
    }


def wait_until_gone(data, made, within=60.0):
    """How long it takes until nothing of it is left. Fails with the names of what stays."""
    began = time.monotonic()
    while any((left_of := still_there(data, made)).values()):
        if time.monotonic() > began + within:
            raise AssertionError(f"after {within} s there is still {left_of}")
        time.sleep(0.005)
    return time.monotonic() - began


def processes_naming(text):
    """Processes whose command line, folder or open files lead to this path."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            places = [os.readlink(entry / "cwd"), os.readlink(entry / "root")]
        except OSError:
            continue
        if text in command or any(place.startswith(text) for place in places):
            found.append(f"{entry.name}: {command.strip()}")
    return found


def mounts(data):
    text = Path("/proc/self/mountinfo").read_text()
    return [line for line in text.splitlines() if str(data) in line]


def loop_devices(data):
    found = []
    for device in trees.inside("/sys/block"):
        if not device.startswith("loop"):
            continue
        try:
            held = Path(f"/sys/block/{device}/loop/backing_file").read_text()
            if str(data) in held:
                found.append(f"{device}: {held.strip()}")
        except OSError:
            continue
    return found


def scratch_files(data):
    return [str(path) for path in trees.below(Path(data) / "run")]


def left(data):
    """Everything that is still there of a node that is down."""
    data = Path(data).resolve()
    return {
        "processes in control groups": processes_in_groups(data),
        "processes": processes_naming(str(data)),
        "control groups": control_groups(data),
        "mounts": mounts(data),
        "loop devices": loop_devices(data),
        "scratch files": scratch_files(data),
    }


def check(data, within=60.0):
    """Fails when something stays. The kernel takes a moment to let loop devices go; a compiler that the node had
    started for a runtime's client ends by itself. How soon sandboxes are gone is a scenario of its own."""
    deadline = time.monotonic() + within
    while True:
        found = {what: names for what, names in left(data).items() if names}
        if not found:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"the node left behind: {found}")
        time.sleep(0.05)
