"""Deployment packages: made in memory, or by the languages' own package managers."""

import io
import os
import shutil
import stat
import subprocess
import textwrap
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# Where what is fetched and compiled stays between runs.
CACHE = Path(
    os.environ.get("LAMBENT_TEST_CACHE")
    or (Path(os.environ["LAMBENT_NODE_CLIENTS"]).parent if "LAMBENT_NODE_CLIENTS" in os.environ else "")
    or REPOSITORY / "target/acceptance"
).resolve()

FIXED_DATE = (2024, 1, 1, 0, 0, 0)


def archive(files):
    """A zip of `{name: text or bytes}`. A name that ends in `*` is executable."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            mode = 0o755 if name.endswith("*") else 0o644
            entry = zipfile.ZipInfo(name.rstrip("*"), FIXED_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | mode) << 16
            entry.create_system = 3
            text = textwrap.dedent(content).lstrip("\n").encode() if isinstance(content, str) else content
            target.writestr(entry, text)
    return buffer.getvalue()


def tree(folder, more=None):
    """The files of a folder, for `archive`."""
    files = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            mark = "*" if os.access(path, os.X_OK) else ""
            files[str(path.relative_to(folder)) + mark] = path.read_bytes()
    return {**files, **(more or {})}


def once(name, make):
    """A folder in the cache that `make` fills the first time; half a folder is no folder."""
    folder = CACHE / name
    if not folder.exists():
        fresh = folder.with_name(folder.name + f".{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        make(fresh)
        fresh.rename(folder)
    return folder


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def pip(*packages):
    """Packages from PyPI as a folder to vendor."""

    def make(folder):
        python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else "python3"
        words = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
        attempt = subprocess.run(
            [*words, "--target", str(folder), *packages], capture_output=True, text=True, check=False
        )
        if attempt.returncode != 0:
            # A distribution's Python may come without pip; the one that runs these tests has it.
            import sys

            run(sys.executable, *words[1:], "--target", str(folder), *packages)

    return once("pip-" + "-".join(packages).replace("==", "-"), make)


def npm(*packages):
    """Packages from npm as a folder that holds node_modules."""

    def make(folder):
        (folder / "package.json").write_text('{"private": true}')
        run("npm", "install", "--silent", "--no-audit", "--no-fund", "--no-save", *packages, cwd=folder)
        for name in ["package.json", "package-lock.json", "node_modules/.package-lock.json"]:
            (folder / name).unlink(missing_ok=True)

    return once("npm-" + "-".join(packages).replace("@", "-").replace("/", "-"), make)


def compiled(name, source, *options):
    """A static program of one C file."""
    import hashlib

    digest = hashlib.sha256((source + " ".join(options)).encode()).hexdigest()[:12]

    def make(folder):
        (folder / "main.c").write_text(source)
        target = str(folder / "program")
        run("gcc", "-O1", "-static", "-Wall", "-o", target, str(folder / "main.c"), *options)

    return (once(f"c-{name}-{digest}", make) / "program").read_bytes()
