"""Error objects as the reference's Python runtime forms them. Imported by the first error only."""

import traceback

from _lambent import __file__ as _own_file

_OWN_FOLDER = _own_file.rpartition("/")[0].rpartition("/")[0] + "/"


def of_fault(fault, request_id=""):
    return _report(fault.message, fault.kind, fault.trace, request_id)


def of_exception(error, request_id=""):
    frames = [(f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(error.__traceback__)]
    for index, frame in enumerate(frames):
        if not frame[0].startswith((_OWN_FOLDER, "<frozen importlib")):
            frames = frames[index:]
            break
    return _report(str(error), type(error).__name__, traceback.format_list(frames), request_id)


def _report(message, kind, trace, request_id):
    return {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": trace}
