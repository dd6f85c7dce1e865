"""Where a function's imports are looked for, and what `import site` would have given it.

The interpreter is started without `site`, which would scan the host's own packages: a function sees its
package, its layers, the bundled SDK and the standard library, never what the host has installed.
"""

import builtins
import posix
import sys


def arrange():
    """Order: the package, then the layers and the standard library, then the SDK.

    A PYTHONPATH of the function's own takes the layers' place, and the layers go to the end, as in the
    reference.
    """
    version = "python%d.%d" % sys.version_info[:2]
    runtime_dir = _text("LAMBDA_RUNTIME_DIR") or "/var/runtime"
    task_root = _text("LAMBDA_TASK_ROOT") or "/var/task"
    layers = ["/opt/python/lib/" + version + "/site-packages", "/opt/python"]
    sdk = ["/var/sdk/python"]
    own = [p for p in (_text("PYTHONPATH") or "").split(":") if p and p != runtime_dir]
    # The first entry is this client's folder, put there by the interpreter; PYTHONPATH follows it.
    standard = [p for p in sys.path[1:] if p not in own and p != runtime_dir]
    if own:
        sys.path[:] = [task_root] + own + standard + layers + sdk
        _customise(own)
    else:
        sys.path[:] = [task_root] + layers + standard + sdk
    sys.argv[:] = [runtime_dir + "/bootstrap.py"]
    builtins.exit = builtins.quit = _leave


def _customise(folders):
    """Agents bring a `sitecustomize` on the PYTHONPATH that their wrapper sets; `site` would have run it."""
    for folder in folders:
        try:
            posix.stat(folder + "/sitecustomize.py")
        except OSError:
            continue
        try:
            __import__("sitecustomize")
        except Exception as error:
            sys.stderr.write("Error in sitecustomize: %s: %s\n" % (type(error).__name__, error))
        return


def _leave(code=None):
    raise SystemExit(code)


def _text(name):
    value = posix.environ.get(name.encode())
    return None if value is None else value.decode("utf-8", "surrogateescape")
