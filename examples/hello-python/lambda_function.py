"""Says how large a number of bytes is, with a third-party package."""

import sys

import humanize


def lambda_handler(event, context):
    size = int(event.get("bytes", 3_221_225_472))
    return {
        "message": f"{size} bytes is {humanize.naturalsize(size, binary=True)}",
        "runtime": f"Python {sys.version_info.major}.{sys.version_info.minor}",
        "requestId": context.aws_request_id,
    }
