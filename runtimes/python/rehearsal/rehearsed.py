"""The handler of a rehearsal: what most handlers have, and nothing that lasts."""

import json
import logging
import os

logger = logging.getLogger(__name__)
TABLE = os.environ.get("TABLE")


class Item:
    def __init__(self, event):
        self.text = json.dumps(event)

    def answer(self):
        return {"statusCode": 200, "body": self.text, "length": len(self.text)}


def handler(event, context):
    try:
        first, *_ = event["key"]
    except KeyError:
        first = None
    return {"first": first, "left": context.get_remaining_time_in_millis(), **Item(event).answer()}
