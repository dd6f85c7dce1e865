"""The Lambda Runtime API client for Python functions.

What starts a function must not cost more than the interpreter itself: `import json` or `import logging`
takes longer than the whole interpreter, so nothing here imports them before a function does. Only modules
that are compiled into the interpreter (`sys`, `posix`, `time`, `_socket`, `_json`) are used on the way to
the first call.

Start reading at `loop`.
"""
