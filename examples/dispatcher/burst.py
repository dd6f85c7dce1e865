"""Sends a burst of jobs to a queue whose mapping bounds its workers, waits, and checks by the workers' own logs that
no job was lost and that never more of them held a connection than the database allows."""

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3


def main():
    options = read_options()
    sqs, functions = boto3.client("sqs"), boto3.client("lambda")
    began_ms = int(time.time() * 1000)
    jobs, dead = make_queues(sqs, options.function)
    mapping = connect(sqs, functions, jobs, options)
    began = time.monotonic()
    try:
        send(sqs, jobs, options)
        print(f"{options.jobs} jobs sent in {time.monotonic() - began:.1f} s")
        drain(sqs, jobs, options.jobs)
        took = time.monotonic() - began
        held = read_log(options, began_ms)
        dead_letters = waiting(sqs, dead)
    finally:
        functions.delete_event_source_mapping(UUID=mapping)
        sqs.delete_queue(QueueUrl=jobs)
        sqs.delete_queue(QueueUrl=dead)
    sys.exit(judge(options, held, dead_letters, took))


def read_options():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--function", default="dispatcher", help="the worker, which `lambent deploy` made")
    options.add_argument("--jobs", type=int, default=5_000)
    options.add_argument("--connections", type=int, default=100, help="what the database allows; 2 or more")
    options.add_argument("--work-ms", type=int, default=200)
    return options.parse_args()


def make_queues(sqs, name):
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    redrive = {"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": 5}
    # A job that failed comes again after this time; no shorter than the function may take.
    settings = {"VisibilityTimeout": "5", "RedrivePolicy": json.dumps(redrive)}
    return sqs.create_queue(QueueName=f"{name}-jobs", Attributes=settings)["QueueUrl"], dead


def arn(sqs, url):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def connect(sqs, functions, jobs, options):
    """The mapping is the dispatcher: it calls the worker for each job, and never more than so many at a time."""
    made = functions.create_event_source_mapping(
        FunctionName=options.function,
        EventSourceArn=arn(sqs, jobs),
        BatchSize=1,
        ScalingConfig={"MaximumConcurrency": options.connections},
    )
    return made["UUID"]


def send(sqs, url, options):
    def batch(first):
        numbers = range(first, min(first + 10, options.jobs))
        entries = [{"Id": str(n), "MessageBody": json.dumps(job(n, options))} for n in numbers]
        answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        assert not answer.get("Failed"), answer["Failed"]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(batch, range(0, options.jobs, 10)))


def job(number, options):
    # Every fiftieth fails when it is tried first: what happens in a database's bad moments is part of the story.
    return {"number": number, "work_ms": options.work_ms, "fails_first": number % 50 == 0}


def waiting(sqs, url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def drain(sqs, url, jobs):
    told = left = jobs
    while left:
        time.sleep(0.2)
        left = waiting(sqs, url)
        if told - left >= jobs / 10:
            told = left
            print(f"{left} jobs wait or are worked on")


def read_log(options, began_ms):
    """What the workers said. Logs come a moment after the work."""
    logs = boto3.client("logs")
    deadline = time.monotonic() + 30
    while True:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{options.function}", startTime=began_ms
        )
        lines = [event["message"] for page in pages for event in page["events"]]
        held = [json.loads(line[len("HELD ") :]) for line in lines if line.startswith("HELD ")]
        if len({one["job"] for one in held if one["done"]}) >= options.jobs or time.monotonic() > deadline:
            return held
        time.sleep(0.2)


def most_at_once(held):
    # Who lets go at the moment at which another connects goes first.
    changes = sorted([(one["connected"], 1) for one in held] + [(one["released"], -1) for one in held])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def judge(options, held, dead_letters, took):
    done = [one["job"] for one in held if one["done"]]
    lost = options.jobs - len(set(done))
    most = most_at_once(held)
    print(f"done: {len(set(done))} of {options.jobs} jobs in {took:.1f} s ({len(held) - len(done)} failed once and came again)")
    print(f"lost: {lost}; done twice: {len(done) - len(set(done))}; dead letters: {dead_letters}")
    print(f"connections at a time: {most} at the most, of {options.connections} allowed")
    return 1 if lost or dead_letters or most > options.connections else 0


if __name__ == "__main__":
    main()
