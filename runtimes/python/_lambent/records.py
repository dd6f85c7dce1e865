"""The root logger's handler and its formats. Imported when the function imports `logging`."""

import logging
import time

from _lambent import logs

_JSON_TIME = "%Y-%m-%dT%H:%M:%SZ"
_RESERVED = frozenset(
    "name msg args levelname levelno pathname filename module exc_info exc_text stack_info lineno funcName "
    "created msecs relativeCreated thread threadName processName process aws_request_id tenant_id "
    "_frame_type".split()
)


def install(sink):
    logging.Formatter.converter = time.gmtime
    handler = _Handler(sink)
    if sink.is_json:
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(
            logging.Formatter(
                "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n",
                "%Y-%m-%dT%H:%M:%S",
            )
        )
    handler.addFilter(_Stamp(sink))
    root = logging.getLogger()
    if sink.level in logging._nameToLevel:
        root.setLevel(sink.level)
    root.addHandler(handler)


class _Stamp(logging.Filter):
    """Gives every record the request that it belongs to; a function's own format may name these."""

    def __init__(self, sink):
        super().__init__()
        self._sink = sink

    def filter(self, record):
        record.aws_request_id = self._sink.request_id or ""
        record.tenant_id = self._sink.tenant_id
        return True


class _Handler(logging.Handler):
    def __init__(self, sink):
        super().__init__()
        self.log_sink = sink

    def emit(self, record):
        message = self.format(record)
        sink = self.log_sink
        base = logs.JSON if sink.is_json and isinstance(self.formatter, _JsonFormatter) else logs.TEXT
        # The reference marks levels only when a format or a level was configured.
        bits = logs.LEVEL_BITS[_tens(record)] if sink.is_json or sink.level else 0
        sink.log(message, base | bits)


def _tens(record):
    return min(50, max(0, record.levelno)) // 10 * 10


class _JsonFormatter(logging.Formatter):
    def __init__(self):
        super().__init__(datefmt=_JSON_TIME)

    def format(self, record):
        import json

        level = _tens(record)
        plain = isinstance(record.msg, dict) and not record.args
        result = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": logging.getLevelName(level),
            "message": record.msg if plain else record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            import traceback

            kind, error, trace = record.exc_info
            result["stackTrace"] = traceback.format_tb(trace)
            result["errorType"] = kind.__name__ if kind else None
            result["errorMessage"] = str(error)
        result["requestId"] = getattr(record, "aws_request_id", None)
        if record.exc_info:
            result["location"] = "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)
        if getattr(record, "tenant_id", None) is not None:
            result["tenantId"] = record.tenant_id
        for key, value in record.__dict__.items():
            if key not in _RESERVED and key not in result:
                result[key] = value
        result = {key: value for key, value in result.items() if value is not None}
        return json.dumps(result, ensure_ascii=False, default=str) + "\n"
