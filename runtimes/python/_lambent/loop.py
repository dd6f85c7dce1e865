"""Import the handler, then answer invocations until the process ends.

Not here: HTTP (`wire`), JSON (`values`), the context object (`context`), frames and formats of log lines
(`logs`), error objects (`faults`).
"""

import posix
import sys

from _lambent import context, logs, parked, paths, trace, values, wire

SNAPSHOT = "_LAMBENT_SNAPSHOT"


class Fault(Exception):
    """An error of the function's form rather than of its code; named `Runtime.*` by the reference."""

    def __init__(self, kind, message, trace=None):
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.trace = trace or []


def main():
    if parked.HANDOVER in posix.environ:
        parked.wait()
    snapshot = _variable(SNAPSHOT)
    _forget(SNAPSHOT)
    is_made, unusable = snapshot == "make", None
    if snapshot and not is_made:
        unusable = _resume(snapshot)
    api = wire.Api(_variable("AWS_LAMBDA_RUNTIME_API"))
    # Before the handler is imported: the node tells from it how long the runtime took and how long the import.
    api.connect()
    if unusable is not None:
        api.unusable_snapshot(unusable.encode("utf-8", "replace"))
    name = _variable("_HANDLER")
    sink = logs.Sink(
        fd=_variable("_LAMBDA_TELEMETRY_LOG_FD"),
        format_name=_variable("AWS_LAMBDA_LOG_FORMAT"),
        level_name=_variable("AWS_LAMBDA_LOG_LEVEL"),
    )
    _forget("_LAMBDA_TELEMETRY_LOG_FD")
    trace.watch()
    values.use_ascii(_variable("AWS_EXECUTION_ENV"))
    paths.arrange()
    logs.install(sink)
    sys.meta_path.append(Hooks())

    handler = _load_or_report(name, api, sink)
    if is_made:
        from _lambent import snapshot

        api = snapshot.make(api, sink)
    call = api.next()
    while True:
        call = _serve(api, handler, call, sink)


def _resume(path):
    """Comes back with the reason why the snapshot is of no use."""
    try:
        from _lambent import snapshot
    except ImportError as error:
        return str(error)
    return snapshot.resume(path)


class Hooks:
    """A finder that makes SnapStart's hooks importable where no package brings them."""

    def find_spec(self, name, path=None, target=None):
        if name != "snapshot_restore_py":
            return None
        from importlib.util import spec_from_file_location

        return spec_from_file_location(name, __file__.rpartition("/")[0] + "/hooks.py")


def _load_or_report(name, api, sink):
    try:
        return _load(name)
    except Fault as fault:
        from _lambent import faults

        report = faults.of_fault(fault)
    except Exception as error:
        from _lambent import faults

        report = faults.of_exception(error)
    sink.error(report)
    api.init_error(report["errorType"], values.encode(report))
    sys.exit(1)


def _load(name):
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '{}': {}".format(name, error)) from None
    dotted = module_name.replace("/", ".")
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict",
            "Cannot use built-in module {} as a handler module".format(module_name),
        )
    try:
        if dotted.startswith("."):
            raise TypeError(
                "the 'package' argument is required to perform a relative import for {!r}".format(dotted)
            )
        __import__(dotted)
    except ImportError as error:
        raise Fault(
            "Runtime.ImportModuleError", "Unable to import module '{}': {}".format(module_name, error)
        ) from None
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        raise Fault(
            "Runtime.UserCodeSyntaxError", "Syntax error in module '{}': {}".format(module_name, error), trace
        ) from None
    try:
        return getattr(sys.modules[dotted], function_name)
    except AttributeError:
        raise Fault(
            "Runtime.HandlerNotFound", "Handler '{}' missing on module '{}'".format(function_name, module_name)
        ) from None


def _serve(api, handler, call, sink):
    """Answers one invocation; returns the next."""
    headers = call.headers
    request_id = headers.get("lambda-runtime-aws-request-id", "")
    sink.request_id = request_id
    sink.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
    trace.tell(headers.get("lambda-runtime-trace-id"))
    try:
        call_context = context.of_call(headers, sink, _parse)
        if headers.get("content-type", "application/json") == "application/json":
            event = _parse(call.body, "Runtime.UnmarshalError", "Unable to unmarshal input: {}")
        else:
            event = call.body
        answer = handler(event, call_context)
        if hasattr(answer, "__next__"):
            from _lambent import streaming

            stream = streaming.Response(answer)
        else:
            stream = None
            body, content_type = _marshal(answer)
    except Fault as fault:
        from _lambent import faults

        report = faults.of_fault(fault, request_id)
    except Exception as error:
        # Not BaseException: SystemExit and its kin end the process, as in the reference, which then reports
        # how the runtime exited.
        from _lambent import faults

        report = faults.of_exception(error, request_id)
    else:
        if stream is None:
            status, following = api.answer(request_id, body, content_type)
        else:
            status, following = _stream(api, request_id, stream, sink)
        if status >= 300:
            sink.client_failure("Failed to post handler success response. Http response code: %d." % status)
        return following
    sink.error(report)
    api.error(request_id, report["errorType"], values.encode(report))
    return api.next()


def _stream(api, request_id, stream, sink):
    from _lambent import streaming

    def report_of(error):
        from _lambent import faults

        report = faults.of_exception(error, request_id)
        sink.error(report)
        return report

    return streaming.send(api, request_id, stream, report_of)


def _marshal(answer):
    if isinstance(answer, bytes):
        return answer, "application/unknown"
    try:
        return values.encode(answer), "application/json"
    except Exception as error:
        raise Fault("Runtime.MarshalError", "Unable to marshal response: {}".format(error)) from None


def _parse(text, kind, message):
    try:
        return values.decode(text)
    except Exception as error:
        raise Fault(kind, message.format(error)) from None


def _variable(name):
    value = posix.environ.get(name.encode())
    return None if value is None else value.decode("utf-8", "surrogateescape")


def _forget(name):
    # Like a deletion from `os.environ`, which reads the dictionary that is changed here.
    posix.environ.pop(name.encode(), None)
    posix.unsetenv(name)
