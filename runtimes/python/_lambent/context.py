"""The second argument of a handler."""

import posix
import time


class LambdaContext(object):
    def __init__(self, headers, client_context, identity, sink):
        self.aws_request_id = headers.get("lambda-runtime-aws-request-id")
        (
            self.log_group_name,
            self.log_stream_name,
            self.function_name,
            self.memory_limit_in_mb,
            self.function_version,
        ) = _variables()
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        self.client_context = client_context
        self.identity = identity
        self._epoch_deadline_time_in_ms = int(headers.get("lambda-runtime-deadline-ms", 0))
        self._sink = sink

    def get_remaining_time_in_millis(self):
        return max(self._epoch_deadline_time_in_ms - int(time.time() * 1000), 0)

    def log(self, message):
        self._sink.log(str(message))

    def __repr__(self):
        names = (
            "aws_request_id log_group_name log_stream_name function_name memory_limit_in_mb function_version "
            "invoked_function_arn client_context identity tenant_id"
        ).split()
        return _listing(self, names)


class _Record(object):
    """An object whose attributes are its slots, filled from a dictionary; what is missing is None."""

    __slots__ = ()

    def __init__(self, source):
        for name in self.__slots__:
            setattr(self, name, source.get(name))

    def __repr__(self):
        return _listing(self, self.__slots__)


class CognitoIdentity(_Record):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(_Record):
    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


class ClientContext(_Record):
    __slots__ = ("custom", "env", "client")


def of_call(headers, sink, parse):
    client_context = None
    text = headers.get("lambda-runtime-client-context")
    if text:
        source = _member(parse, text, "Client Context")
        if source is not None:
            client_context = ClientContext(source)
            if client_context.client is not None:
                client_context.client = Client(client_context.client)
    identity = {}
    text = headers.get("lambda-runtime-cognito-identity")
    if text:
        source = _member(parse, text, "Cognito Identity") or {}
        identity = {
            "cognito_identity_id": source.get("cognitoIdentityId"),
            "cognito_identity_pool_id": source.get("cognitoIdentityPoolId"),
        }
    return LambdaContext(headers, client_context, CognitoIdentity(identity), sink)


def _member(parse, text, name):
    return parse(text, "Runtime.LambdaContextUnmarshalError", "Unable to parse " + name + " JSON: {}")


_NAMES = (
    b"AWS_LAMBDA_LOG_GROUP_NAME",
    b"AWS_LAMBDA_LOG_STREAM_NAME",
    b"AWS_LAMBDA_FUNCTION_NAME",
    b"AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    b"AWS_LAMBDA_FUNCTION_VERSION",
)
_read = _texts = None


def _variables():
    """The variables of `_NAMES`, read again for each call: a function may change its own environment. `os.environ`
    keeps its values in the dictionary that is read here."""
    global _read, _texts
    get = posix.environ.get
    read = [get(name) for name in _NAMES]
    if read != _read:
        _read = read
        _texts = tuple(None if value is None else value.decode("utf-8", "surrogateescape") for value in read)
    return _texts


def _listing(thing, names):
    fields = ",".join("%s=%s" % (name, getattr(thing, name, None)) for name in names)
    return "%s([%s])" % (type(thing).__name__, fields)
