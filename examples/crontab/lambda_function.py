"""A health check that runs by the clock: asks an address, and says in its log what it found."""

import os
import time
import urllib.request


def lambda_handler(event, context):
    # What a schedule without an input of its own sends names the moment that it fires for.
    address = event.get("address") or os.environ.get("ADDRESS", "https://example.com/")
    began = time.monotonic()
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            status = answer.status
    except OSError as error:
        status = str(error)
    took = round((time.monotonic() - began) * 1000)
    print(f"CHECK {event.get('time', 'now')} {address} {status} in {took} ms")
    return {"address": address, "status": status, "ms": took}
