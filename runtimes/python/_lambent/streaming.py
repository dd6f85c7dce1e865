"""Response streaming: what a handler gives as an iterator goes out piece by piece.

A handler that returns a generator (or any other iterator) of bytes or texts streams them. When the first thing
that it gives is a dictionary, that is the metadata of an HTTP response (`statusCode`, `headers`, `cookies`), for a
function URL that streams. An extension of this node: the reference's own runtime streams from Node.js only, and
refuses such results.

An error before the first piece is an ordinary one; a later one travels in the trailers of the response.

Imported with the first such result, since most functions have none.
"""

from _lambent import values

BYTES_TYPE = "application/octet-stream"
METADATA_TYPE = "application/vnd.awslambda.http-integration-response"
# Between the metadata of an HTTP response and its body.
METADATA_END = bytes(8)


class Response:
    """A result whose first piece is there already, so that an error before it can still be told as usual."""

    def __init__(self, parts):
        self._parts = parts
        first = next(parts, b"")
        if isinstance(first, dict):
            self.content_type = METADATA_TYPE
            self._first = values.encode(first) + METADATA_END
        else:
            self.content_type = BYTES_TYPE
            self._first = _bytes(first)

    def __iter__(self):
        yield self._first
        for part in self._parts:
            yield _bytes(part)

    def close(self):
        """Ends a generator where it stands: nobody takes what it would give."""
        close = getattr(self._parts, "close", None)
        if close is not None:
            close()


def send(api, request_id, response, report_of):
    """Sends the response; returns the status and the next call. `report_of` makes a report of an error on the way."""
    report = None
    try:
        api.begin_stream(request_id, response.content_type)
        try:
            for part in response:
                if part:
                    api.chunk(part)
        except OSError as error:
            if api.is_broken(error):
                raise
            report = report_of(error)
        except Exception as error:
            report = report_of(error)
        error = None if report is None else (report["errorType"], values.encode(report))
        status, following = api.end_stream(error)
    except OSError:
        # Refused half-way: the response is too large.
        response.close()
        api.disconnect()
        return 413, api.next()
    return status, following


def _bytes(part):
    if isinstance(part, str):
        return part.encode("utf-8", "surrogatepass")
    if isinstance(part, (bytes, bytearray, memoryview)):
        return bytes(part)
    raise TypeError("a streamed response is made of bytes and str, not " + type(part).__name__)
