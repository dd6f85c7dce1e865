"""Works on what a topic sent: straight from it, or by way of a queue."""

import json


def lambda_handler(event, context):
    failed = []
    for record in event["Records"]:
        # A topic calls with its message; a queue hands over what it got of the topic: here the message alone.
        message = record["Sns"]["Message"] if "Sns" in record else record["body"]
        try:
            order = json.loads(message)
            print(f"WORK {context.function_name} order {order['id']} of {order['amount']}")
        except (ValueError, KeyError) as error:
            print(f"FAILED {context.function_name} {error!r}: {message}")
            failed.append(record)
    # Only what failed comes again; after three times it is in the dead-letter queue.
    return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in failed if "messageId" in r]}
