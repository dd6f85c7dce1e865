"""Packages that nobody should accept: refused in the reference's words, and nothing of them is kept."""

import io
import stat
import struct
import zipfile
import zlib

import pytest

from support import trees
from support.functions import Refused, fresh_name
from support.node import ROLE
from support.packages import archive

CORRUPT = "Could not unzip uploaded file"
GOOD = {"index.py": "def handler(e, c):\n    return 1\n"}


def zipped(entries):
    """A zip of `(name, mode, content)`, with no care for what is sensible."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, mode, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = mode << 16
            entry.create_system = 3
            target.writestr(entry, content)
    return buffer.getvalue()


FILE, LINK = stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777


def entry(name, mode=FILE, content=b"x"):
    return zipped([("index.py", FILE, GOOD["index.py"]), (name, mode, content)])


@pytest.fixture
def refuse(node):
    """Asserts that a package is refused for functions and layers, and that nothing of it stays."""

    def kept():
        return sorted(path.name for path in trees.below(node.data / "code") if path.is_dir() or path.suffix == ".zip")

    def refuse(package, code="InvalidParameterValueException", status=400, message=CORRUPT):
        before = kept()
        name = fresh_name("bad")
        with Refused(code, status, message):
            node.functions.create_function(
                FunctionName=name, Runtime="python3.11", Role=ROLE, Handler="index.handler", Code={"ZipFile": package}
            )
        with Refused("ResourceNotFoundException", 404):
            node.functions.get_function(FunctionName=name)
        with Refused(code, status, message):
            node.functions.publish_layer_version(LayerName=name, Content={"ZipFile": package})
        assert node.functions.list_layer_versions(LayerName=name)["LayerVersions"] == []
        assert set(kept()) <= set(before)

    return refuse


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "..", "a/..", "..\\evil", "C:\\evil"])
def test_names_that_lead_out_of_the_package_are_refused(refuse, node, name):
    refuse(entry(name))
    assert not any(path.name == "evil" for path in trees.below(node.data))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "a/../../x"])
def test_links_that_lead_out_of_the_package_are_refused(refuse, target):
    refuse(entry("link", LINK, target))


def test_a_file_under_a_link_is_refused(refuse):
    refuse(zipped([("dir", LINK, "/tmp"), ("dir/evil", FILE, "x")]))


def test_devices_and_sockets_are_refused(refuse):
    for kind in (stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK):
        refuse(entry("device", kind | 0o666, b""))


def test_a_link_inside_the_package_is_fine(make):
    package = zipped(
        [("real.py", FILE, "def handler(e, c):\n    return 'linked'\n"), ("index.py", LINK, "real.py")]
    )
    assert make(package)() == "linked"


def test_what_is_no_zip_is_refused(refuse):
    good = archive(GOOD)
    for package in [b"no zip at all", b"PK\x03\x04", good[: len(good) // 2], good[:-10], b"\0" * 1000]:
        refuse(package)


def test_a_wrong_checksum_is_refused(refuse):
    good = bytearray(archive({"index.py": "x = 1\n" * 100}))
    crc = zlib.crc32(b"x = 1\n" * 100)
    wrong = bytes(good).replace(struct.pack("<I", crc), struct.pack("<I", crc ^ 1))
    assert wrong != bytes(good)
    refuse(wrong)


def test_an_empty_package_is_refused(refuse):
    refuse(archive({}), message="Uploaded file must be a non-empty zip")


def test_a_bomb_is_refused_without_being_unpacked(refuse, node):
    big = zipped([("zeros", FILE, b"\0" * (260 << 20))])
    assert len(big) < 1 << 20
    refuse(big, message="Unzipped size must be smaller than 262144000 bytes")
    # The node's memory, as its own file says, did not take it in.
    rss = int(next(l for l in open(f"/proc/{node.process.pid}/status") if l.startswith("VmHWM")).split()[1])
    assert rss < 400 << 10, f"{rss} KiB"


def test_a_bomb_that_lies_about_its_size_is_refused(refuse):
    package = bytearray(zipped([("zeros", FILE, b"\0" * (260 << 20))]))
    lie = bytes(package).replace(struct.pack("<I", 260 << 20), struct.pack("<I", 1000))
    refuse(bytes(lie))


def test_too_many_entries_are_refused(refuse):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for number in range(200_000):
            target.writestr(zipfile.ZipInfo(f"f{number}"), b"")
    refuse(buffer.getvalue(), message="(?i)entries")


def test_two_entries_of_one_name_do_not_confuse(make, refuse):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = zipped([("index.py", FILE, "def handler(e, c):\n    return 1\n"), ("index.py", FILE, "def handler(e, c):\n    return 2\n")])
    from botocore.exceptions import ClientError

    try:
        assert make(package)() in (1, 2)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidParameterValueException"


def test_an_encrypted_package_is_refused(refuse):
    package = bytearray(archive({"index.py": "x = 1\n"}))
    # The flag in the local header and in the directory.
    package[6] |= 1
    at = package.rindex(b"PK\x01\x02")
    package[at + 8] |= 1
    refuse(bytes(package))


def test_packages_over_fifty_megabytes_are_refused(node):
    import os

    noise = os.urandom(1 << 20) * 51
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        target.writestr("noise", noise)
    assert len(buffer.getvalue()) > 50 << 20
    with Refused("RequestEntityTooLargeException", 413, "Request must be smaller than"):
        node.functions.create_function(
            FunctionName=fresh_name("big"), Runtime="python3.11", Role=ROLE, Handler="index.handler",
            Code={"ZipFile": buffer.getvalue()},
        )


def test_a_large_package_within_the_limits_is_fine(make):
    import os

    function = make({"index.py": "import os\ndef handler(e, c):\n    return os.path.getsize('/var/task/noise')\n", "noise": os.urandom(20 << 20)})
    assert function() == 20 << 20


def test_an_update_that_is_refused_leaves_the_old_code(make, node):
    function = make("def handler(e, c):\n    return 'old'\n")
    for package in (entry("../evil"), b"no zip"):
        with Refused("InvalidParameterValueException", 400, CORRUPT):
            node.functions.update_function_code(FunctionName=function.name, ZipFile=package)
    found = node.functions.get_function_configuration(FunctionName=function.name)
    assert (found["State"], found["LastUpdateStatus"]) == ("Active", "Successful")
    assert function() == "old"


def test_code_and_layers_together_may_not_exceed_the_limit(make, node):
    import os

    chunk = archive({"noise": os.urandom(1 << 10), "zeros": b"\0" * (130 << 20)})
    name = fresh_name("layer")
    layer = node.functions.publish_layer_version(LayerName=name, Content={"ZipFile": chunk})
    with Refused("InvalidParameterValueException", 400, "combined with layers exceeds"):
        make(archive({**GOOD, "zeros": b"\0" * (130 << 20)}), Layers=[layer["LayerVersionArn"]])
    node.functions.delete_layer_version(LayerName=name, VersionNumber=1)
