"""A worker: takes one job at a time, and holds a connection to the database while it does."""

import json
import time


def lambda_handler(event, context):
    for record in event["Records"]:
        job = json.loads(record["body"])
        is_first = record["attributes"]["ApproximateReceiveCount"] == "1"
        connected, done = time.time(), False
        try:
            # Here stands the work: connect, query, commit.
            time.sleep(job["work_ms"] / 1000)
            if job["fails_first"] and is_first:
                raise RuntimeError("the database had a bad moment")
            done = True
        finally:
            held = {"job": job["number"], "connected": connected, "released": time.time(), "done": done}
            print("HELD " + json.dumps(held))
