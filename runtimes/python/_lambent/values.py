"""JSON in and out, without importing `json` (and with it `re` and `enum`) before it is needed.

Both directions use the C halves that the standard library's own module uses. Values that those can't take
the reference's way (decimals, bytes, named tuples, subclasses) are first rewritten to plain ones. Anything
irregular in an event is handed to the real `json`, whose error texts are the reference's.
"""

import sys

try:
    from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner
except ImportError:
    make_scanner = make_encoder = None

_SCALARS = frozenset((str, int, float, bool, type(None)))
# The runtimes that answer with non-ASCII characters as they are.
_UNESCAPED_SINCE = (3, 12)
_ascii = True


def use_ascii(execution_env):
    """Older runtimes escape all that isn't ASCII. The name of the runtime decides, not the version of the
    interpreter that happens to serve it."""
    global _ascii
    version = sys.version_info[:2]
    if execution_env and execution_env.startswith("AWS_Lambda_python"):
        major, _, minor = execution_env[len("AWS_Lambda_python") :].partition(".")
        if major.isdigit() and minor.isdigit():
            version = (int(major), int(minor))
    _ascii = version < _UNESCAPED_SINCE


class _Scanning:
    """What the C scanner reads from a decoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan")}.__getitem__
    memo = {}


_scan = make_scanner(_Scanning) if make_scanner else None


def decode(source):
    text = source if isinstance(source, str) else source.decode("utf-8", "surrogatepass")
    if _scan is not None:
        trimmed = text.strip(" \t\n\r")
        try:
            value, end = _scan(trimmed, 0)
            if end == len(trimmed):
                return value
        except Exception:
            # Whatever it is, the real module says it in words that the reference's users know.
            pass
    import json

    return json.loads(text)


def encode(value):
    """JSON as UTF-8. A lone surrogate, which UTF-8 can't carry, is written as a JSON escape."""
    if _is_plain(value):
        text = _plain_text(value)
    else:
        text = _text(_plain(value, set()))
    return text.encode("utf-8", "backslashreplace")


# The C encoder for plain values, by whether it escapes all that isn't ASCII. Making one costs as much as a use.
_encoders = {}


def _plain_text(value):
    if make_encoder is None or isinstance(value, str):
        return _text(value)
    encoder = _encoders.get(_ascii)
    if encoder is None:
        quote = encode_basestring_ascii if _ascii else encode_basestring
        # No marks against circles: what is plain was walked to its ends.
        encoder = _encoders[_ascii] = make_encoder(None, _refuse, quote, None, ": ", ", ", False, False, True)
    return "".join(encoder(value, 0))


class _Number(str):
    """Digits that are to appear as they are."""


def _text(value):
    if make_encoder is None:
        import json

        return json.dumps(value, ensure_ascii=_ascii)
    quote = encode_basestring_ascii if _ascii else encode_basestring

    def encoder(text):
        return str(text) if type(text) is _Number else quote(text)

    if isinstance(value, str):
        return encoder(value)
    # The C encoder takes its quick path only for the bare function.
    encode_string = encoder if _holds_number(value) else quote
    c_encoder = make_encoder({}, _refuse, encode_string, None, ": ", ", ", False, False, True)
    return "".join(c_encoder(value, 0))


def _is_plain(value):
    """Whether a value holds nothing but what JSON has, by exact type; a cheap walk that allocates little."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or (type(item) not in _SCALARS and not _is_plain(item)):
                return False
        return True
    if kind is list:
        for item in value:
            if type(item) not in _SCALARS and not _is_plain(item):
                return False
        return True
    return False


def _holds_number(value):
    kind = type(value)
    if kind is _Number:
        return True
    if kind is dict:
        return any(_holds_number(item) for item in value.values() if type(item) not in _SCALARS)
    if kind is list:
        return any(_holds_number(item) for item in value if type(item) not in _SCALARS)
    return False


def _plain(value, parents):
    if isinstance(value, str):
        # Not `str(value)`: an enumeration of strings answers that with its own name.
        return str.__str__(value)
    if isinstance(value, bytes):
        return str(value, "utf-8")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if id(value) in parents:
        raise ValueError("Circular reference detected")
    parents.add(id(value))
    try:
        return _plain_container(value, parents)
    finally:
        parents.discard(id(value))


def _plain_container(value, parents):
    if isinstance(value, list):
        return [_plain(item, parents) for item in value]
    as_dict = getattr(value, "_asdict", None)
    if as_dict is not None and callable(as_dict) and not isinstance(value, type):
        value = as_dict()
    elif isinstance(value, tuple):
        return [_plain(item, parents) for item in value]
    if isinstance(value, dict):
        return {_key(key): _plain(item, parents) for key, item in value.items()}
    decimal = sys.modules.get("decimal")
    if decimal is not None and isinstance(value, decimal.Decimal):
        return float("nan") if value.is_nan() else _Number(value)
    return _refuse(value)


def _key(key):
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, bytes):
        return str(key, "utf-8")
    if isinstance(key, float):
        return _text(float(key))
    if key is True or key is False or key is None:
        return _text(key)
    if isinstance(key, int):
        return str(int(key))
    raise TypeError("keys must be str, int, float, bool or None, not " + type(key).__name__)


def _refuse(value):
    raise TypeError("Object of type " + type(value).__name__ + " is not JSON serializable")
