//! What no table of the code says: how this node differs from the reference, in words.

/// Service, operation, member, and what is to be said.
pub type MemberNote = (&'static str, &'static str, &'static str, &'static str);

pub const INTRODUCTION: &str = "\
# Compatibility

**A difference from AWS that is not written here is a bug.** Please report it as one.

Lambent serves these APIs so far: Lambda, CloudWatch Logs, SQS, EventBridge and its scheduler.
A request for another service is answered with
`UnsupportedOperationException` (501), and so is an operation below that is not served.

This file is made by a test from the tables that the code itself uses, and checked with every build; the tests of
each service ask for every member below and see it read, or refused by its name. `UPDATE_GOLDEN=1` rewrites it.

- **works**: the member does what AWS says that it does.
- **accepted only at its default**: the value in brackets is accepted, every other is refused by name.
- **refused by name**: a value that says anything at all is answered with an error that names the member, and
  nothing is stored. Null is no value, nor is a structure, list or text with nothing in it where AWS has that for
  its default.
- **accepted, without effect**: for the reason in brackets. There are few of these: AWS has no effect either, or
  the answer says that there is none.
- **differs**: what a caller could notice.

## What differs everywhere

### Who may do what

- Signatures (version 4, in headers or presigned) are always verified. There is no IAM yet: every valid key may do
  everything in its own account. A function of another account can be invoked when its resource policy says so.
- A function URL asks its policy for both `lambda:InvokeFunctionUrl` and `lambda:InvokeFunction`, as AWS does of
  those made since October 2025; an identity of the function's own account needs neither for `AWS_IAM`.
- The keys `test`/`test` are accepted while the node listens on loopback only, and never from inside of a sandbox.
  With them, an access key of twelve digits (and the secret `test`) names its own account.
- Version 4A signatures are refused. A presigned URL lives for 15 minutes at the most, as with AWS; a shorter life
  that it names is kept, where AWS gives it 15 minutes nevertheless.
- A role is not looked up: it need not exist. The function's credentials are a session of it in name, belong to the
  function's account, and are good at this node only.
- Every region's name is served, and each has its own functions and logs. The account is 000000000000 unless
  `lambent up --account` says otherwise.

### Reading and writing

- A change that was answered is on disk, and every read after it sees it: there is no eventual consistency.
- A function is Active, and an update of it Successful, within milliseconds. A request that needs the function at
  rest brings it there instead of failing with `ResourceConflictException` or `CodeArtifactUserPending`.
- `RevisionId` does not change when a function goes from Pending to Active or an update ends: AWS gives another
  one then.
- Management operations are not throttled: the throttle reasons `CallerRateLimitExceeded` and
  `ConcurrentSnapshotCreateLimitExceeded` never come. Too fast a growth of a function's environments has the reason
  that too many calls a second have.
- UpdateAlias, UpdateFunctionCode and UpdateFunctionConfiguration of a function with calls in the last minutes have
  environments of its new state initialised first (they wait for 10, 3 and 3 s of that at the most). An alias with provisioned concurrency
  moves when that of the new version stands.
- A call waits for an environment for 30 s at the most, then it is a `ServiceException`.

### Where functions run

- The tag `lambent:egress` of a function (`none`, `services` or `internet`) says where it may open connections to;
  other values of it are refused. Without it, it is `internet`, as with AWS. The host's own addresses, its
  link-local range and other sandboxes are out of reach even so.
- `AWS_ENDPOINT_URL` is set inside and points SDKs to this node, unless the function's environment sets it.
- How long an environment waits for its next call is learned from the calls of its version, unless `lambent up
  --keep-alive` gives a time, and it is replaced after 6 hours; AWS names no numbers.
- After a failed init, a crash or a time-out, the next attempt runs in a new sandbox: `/tmp` starts empty, where
  AWS may keep it ([decision 4](docs/decisions/0004-suppressed-init.md)).
- The operating system inside is the host's, not Amazon Linux: native code in a package needs the host's C library
  or its own.
- Extensions, external and internal, and the Telemetry API (HTTP and TCP) are as with AWS. The older Logs API is not
  there: it answers `Logs.NotSupported`. A subscriber in the runtime's own process gets what is told after its
  subscription, not what came before it. Functions with external extensions are not met by runtimes that booted ahead.
- Memory earns a share of the CPU as with AWS, but never more CPUs than the host has.
- Nothing is sent to X-Ray. A call's trace header is passed on as it came; a call without one gets a new one that says
  `Sampled=0`. Its `Root` is what `lambent trace` ties calls and events together by.
- `REPORT` and the other lines of the platform are as with AWS, but the runtime's version is its identifier and no
  ARN, and a runtime that is served by another (`lambent up --runtime-alias`) says `Served By`. The `REPORT` of an
  environment's first call has `Stages: sandbox ... ms, code ... ms, runtime ... ms, init ... ms, handler ... ms` behind
  AWS's fields; in JSON these are `spans` of `platform.report`, and of `platform.initReport` without the handler.
";

pub const API_NOTES: &[(&str, &str)] = &[
    (
        "lambda",
        "An operation that is not served answers `UnsupportedOperationException` (501): `Lambent does not \
         implement NAME yet.`",
    ),
    ("lambda", "A member that the model does not have is ignored, as with AWS."),
    (
        "lambda",
        "A `Marker` is good for the operation that gave it; another one is refused with \
         `InvalidParameterValueException`.",
    ),
    (
        "lambda",
        "`FunctionConfiguration` has no `RuntimeVersionConfig`: there are no runtime versions to choose from.",
    ),
    (
        "lambda",
        "`Environment` is left out of it when there are no variables, also when an empty one was given.",
    ),
    (
        "lambda",
        "Links to code and layers (`Location`) are at this node, for 10 minutes, and end when the node stops. \
         `RepositoryType` is `S3`, as clients expect.",
    ),
    (
        "lambda",
        "A function URL is `http://ID.lambda-url.REGION.localhost:PORT/`, or of the domain that `lambent up \
         --url-domain` names; for clients that can't resolve it, the same is at `/_lambent/url/ID/` of the node. \
         `Cors` takes the place of CORS headers that the function sends, where AWS sends both. \
         `authorizer.iam` names the account for `callerId` and `userId`; `authorization` is not passed on to the \
         function when the URL asks for signatures.",
    ),
    (
        "lambda",
        "Answers are streamed from Node.js (`awslambda.streamifyResponse`), from custom runtimes, and, as an \
         extension, from Python: a handler that returns a generator or another iterator of `bytes` and `str` \
         streams what it gives, and a first item that is a `dict` (`statusCode`, `headers`, `cookies`) is the \
         metadata of the HTTP response (AWS refuses such results); and from Java: what a stream handler flushes \
         reaches a caller that takes pieces (AWS sends it whole).",
    ),
    (
        "lambda",
        "A call that came through a function 16 times before is stopped, as with AWS, unless the function's `RecursiveLoop` is `Allow`: counted in the trace header (`Lineage`), which SDKs hand on. The record that an asynchronous call's destination gets has the `condition` `RecursiveInvocation`.",
    ),
    (
        "lambda",
        "Configurations that can't be made here (code signing) can be asked for: the answer is AWS's for a function without one.",
    ),
    (
        "lambda",
        "Event source mappings read SQS queues of the caller's region, of their account or of one whose queue's policy lets the \
         function's role receive, delete and get attributes; other sources are refused by name. \
         A mapping is `Enabled` within milliseconds, and may be changed while it is still on its way there.",
    ),
    (
        "lambda",
        "A batch whose function is throttled, or can't be run for another reason that is not its own, waits and is \
         tried again; it goes back to its queue after 20 s at the latest, and does not count as received, so that no \
         message becomes a dead letter for want of capacity (with AWS it counts). From a queue whose function has a \
         reserved concurrency of 0, is deleted, or lacks the qualifier, nothing is taken: `LastProcessingResult` says so.",
    ),
    (
        "lambda",
        "The visibility timeout of a batch's messages counts from the moment that the function gets them, not from \
         when they were gathered. A FIFO queue's batch is of one receive. With `ReportBatchItemFailures`, what \
         stands behind a failed message in its group stays in the queue too, whether it is reported or not.",
    ),
    (
        "lambda",
        "Mappings with `EventCount` are counted at `/_lambent/metrics`, as `lambent_event_source_mapping_...`.",
    ),
    ("logs", "An operation that is not served answers `UnsupportedOperationException` (400)."),
    (
        "logs",
        "A member that no operation reads is refused with `InvalidParameterException`, also when the model does \
         not have it; AWS ignores those.",
    ),
    (
        "logs",
        "Lines of functions can be read as soon as they are written, and a group's or stream's times and sizes \
         are of this moment; AWS takes seconds to hours.",
    ),
    (
        "logs",
        "All events of a node together take 4 GB of disk, compressed; beyond it the oldest go first, whatever the \
         retention, and the node's own log says so.",
    ),
    (
        "logs",
        "Groups are in one account and one region: an ARN of another names a group that does not exist.",
    ),
    ("events", "An operation that is not served answers `UnsupportedOperationException` (501)."),
    (
        "events",
        "A member that no operation reads is refused with `ValidationException`, also when the model does not have \
         it; AWS ignores those.",
    ),
    (
        "events",
        "Targets are functions, queues and standard topics (whose resource policy has to let `events.amazonaws.com` in \
         for the rule; a queue's or topic's target may have a role instead), API destinations and other buses of this node; \
         targets of other services, and FIFO topics, are refused by name.",
    ),
    (
        "events",
        "An event is on the disk as a call of its function, or on its way to its queue or topic, before PutEvents answers, in \
         one commit for the whole request. A queue or topic that can't take it for a while is tried again after 1, 2, 4 and up \
         to 512 seconds. What a target can't take at all goes to the target's dead-letter queue (a standard one, \
         whose policy has to let `events.amazonaws.com` in), with the reference's attributes; without one it is lost, \
         and the node's log says so.",
    ),
    (
        "events",
        "Numbers in patterns are compared as numbers, however they are written, as AWS's published engine does. A \
         field below an array is `exists: false` when no element has it.",
    ),
    (
        "events",
        "What an archive wants is on its way there, on the disk, before PutEvents answers; `EventCount` and `SizeBytes` \
         follow within a moment.",
    ),
    (
        "events",
        "API destinations: an event is on the disk before PutEvents answers, and posted on a lane of its own, at most 32 \
         requests of one destination at a time, each with a connection of its own. `http://` endpoints work too, which \
         AWS refuses. Tried again as with AWS: 401, 407, 409, 429, 5xx, and no answer within 5 seconds, after 1, 2, 4 and up \
         to 512 seconds or `Retry-After`, whichever is longer. A value of `HttpParameters` that begins with `$.` is a path \
         into the event; what the event has not is empty. `BodyParameters` are added to a body that is a JSON object.",
    ),
    (
        "events",
        "Connections: what is secret is kept in `events.db` of the data directory, whose files only the node's user may \
         read (0600), not encrypted; no answer and no log has it. `SecretArn` has AWS's form, but there is no such secret to \
         read. OAuth's credentials are posted as a form with `grant_type=client_credentials` (for GET, in the query), and a \
         token is kept in memory until a minute before its end. `CreateConnection` and `UpdateConnection` answer \
         `AUTHORIZING` for OAuth, and `AUTHORIZED` for the others; `DeauthorizeConnection` answers `DEAUTHORIZED` at once. An \
         event for a connection that is not authorized waits by the target's retry policy. Private connectivity and keys of \
         KMS are refused by name.",
    ),
    (
        "events",
        "An extension: CloudEvents 1.0 in JSON (binary, structured and batched mode) are taken by a signed POST to \
         `/_lambent/events/BUS`, a bus by its name or its ARN, all of a request or none. `source` and `type` are the \
         event's `source` and `detail-type`, `subject` its one resource, `time` its time, and the CloudEvent in its JSON \
         form with all its attributes is its `detail`: a target with `InputPath` `$.detail` receives it as it is, and an API \
         destination with the header parameter `Content-Type: application/cloudevents+json` posts it in structured mode. The \
         answer, `EventIds`, names the events on the bus.",
    ),
    (
        "events",
        "An extension: the node's own changes are events of source `lambent` on the default bus of the account, with the \
         function's ARN in `resources`. `Lambda Function Created`, `Updated` and `Deleted` say the `operation` \
         (CreateFunction, UpdateFunctionCode, UpdateFunctionConfiguration, PublishVersion, CreateAlias, UpdateAlias, \
         DeleteAlias, PutFunctionConcurrency, DeleteFunctionConcurrency, DeleteFunction), the version or alias as \
         `qualifier`, and `$LATEST`'s `runtime`, `codeSha256` and `revisionId`; they are on their way, on the disk, before the operation \
         answers; where the node is killed, or the caller goes, between the change and that, it is not told of. `Lambda Function Throttled` \
         says the `reason` and comes when a function begins to be throttled; `Lambda Function Throttling Ended` says since when, and \
         how many calls were, and comes when none has been for a minute. `Lambda Function Scaled` says how many `environments` a \
         `version` has, and how many it had (`environmentsBefore`); it is looked for every 10 seconds, the period by which growth \
         is limited, so that what comes and goes in between is not told; nor is the end of all of them when the node stops. An \
         entry whose `Source` is `lambent` or begins with `lambent.` is refused as one that begins with `aws.` is.",
    ),
    (
        "events",
        "Buses, rules and their number are not limited; five targets a rule and the sizes of entries, policies and \
         texts are AWS's.",
    ),
    (
        "events",
        "Scheduled rules fire at their moment, to the tenth of a second, not within the minute. `rate(N seconds)` is \
         an extension: AWS begins with minutes. No moment fires twice, whatever restarts and clocks do. Of the moments that were missed \
         while the node was down, the last one fires once when it starts, unless it is older than \
         `MaximumEventAgeInSeconds` of the target (24 hours without it).",
    ),
    (
        "scheduler",
        "A member that no operation reads is refused with `ValidationException`, also when the model does not have \
         it; AWS ignores those.",
    ),
    (
        "scheduler",
        "Targets are functions, queues, standard topics, buses, and as universal targets the operations of Lambda, SQS, SNS, \
         EventBridge, its scheduler and CloudWatch Logs (`lambda`, `sqs`, `sns`, `eventbridge`, `scheduler`, `cloudwatchlogs`) \
         that this node serves, but those that only read and `invokeWithResponseStream`; others are refused by name, those of \
         other services too. An operation that answers 5xx, 429 or a throttle is tried again by the retry policy; the code of \
         any other refusal is the dead letter's `ERROR_CODE`. The role has to be of the account, and need not exist; a queue or topic of \
         another account has to \
         let it in. A target that can't take its input is treated as with EventBridge.",
    ),
    (
        "scheduler",
        "Schedules fire at their moment, not within the minute. `rate(N seconds)` is an extension: AWS begins with minutes. \
         No moment fires twice, whatever restarts and clocks do. Of the moments that were missed while the \
         node was down, the last one fires once when it starts, unless it is older than `MaximumEventAgeInSeconds` (24 hours \
         without it).",
    ),
    (
        "scheduler",
        "Daylight saving is as with AWS: a `cron` moment that the clock skips does not come, a doubled one comes once. \
         An `at` moment that the clock skips comes as long after the skip as it was meant to. Time zones are those of the \
         built-in copy of the IANA database.",
    ),
];

pub const SNS_NOTES: &[(&str, &str)] = &[
    (
        "sns",
        "Subscribers are queues (`sqs`) and functions (`lambda`) of the account that subscribes, and HTTP endpoints (`http`, \
         `https`); of a FIFO topic, queues. The protocols `email`, `email-json`, `sms`, `application` and `firehose` are \
         refused by name.",
    ),
    (
        "sns",
        "A message is on the disk, once for each subscription that wants it, before it is answered for. A function \
         takes it over as an asynchronous call in the same commit. A queue that can't take it now is tried again as \
         with AWS: 100,015 times in 23 days. One that is not there, or whose policy does not allow the topic, is not \
         tried again: the message goes to the subscription's dead-letter queue, or is dropped and the node's log says \
         so.",
    ),
    (
        "sns",
        "HTTP endpoints confirm as with AWS, by the link or by ConfirmSubscription; one that has left by its link has two \
         days to come back. They may be any address that the node reaches, its own host's among them; the role of a \
         function can't subscribe one. An answer of 5xx or 429, and none within 15 seconds, is tried again by the \
         delivery policy; any other but 2xx is not, and no redirection is followed. How delays grow between \
         `minDelayTarget` and `maxDelayTarget` is AWS's in its ends only. No more than 64 requests to one endpoint \
         are on their way at a time.",
    ),
    (
        "sns",
        "Notifications are signed with a key that the node makes for itself, and the certificate stands at `SigningCertURL`, \
         a path of the node: a client that insists on a host of AWS's has to be told. Of what queues and functions get, \
         that is so with `SignatureVersion` 2; with version 1 their `Signature` says nothing to anybody but the node.",
    ),
    ("sns", "Settings and filters act from the next message on, where AWS takes up to 15 minutes."),
    (
        "sns",
        "A FIFO topic's messages reach each subscriber in the order of their `SequenceNumber` within a group; one that can't \
         be delivered now holds up its group, and no other. If the node dies between taking a message and answering for \
         it, and the message is published again, a standard queue may get it twice.",
    ),
    (
        "sns",
        "Attributes of a topic that are refused by name: `ArchivePolicy`, `DataProtectionPolicy`, `KmsMasterKeyId`, those of \
         delivery feedback, and `TracingConfig` other than `PassThrough`. Of a subscription: `ReplayPolicy`, \
         `SubscriptionRoleArn`, and `DeliveryPolicy` of one that is no HTTP endpoint.",
    ),
    (
        "sns",
        "A policy's Deny is for the owner, too; the account's root may always read and change the attributes of its \
         topic.",
    ),
];

pub const SQS_NOTES: &[(&str, &str)] = &[
    (
        "sqs",
        "Both protocols are spoken: AWS JSON 1.0 as of today's SDKs, and the query protocol (forms and XML) as of \
         older ones, also at the address of the queue itself. A member that the model does not have is ignored, as \
         with AWS.",
    ),
    (
        "sqs",
        "The address of a queue begins with what the client called the node by: `http://HOST:PORT/ACCOUNT/NAME`. \
         Whatever host an address has (`sqs.REGION.amazonaws.com`, `REGION.queue.amazonaws.com`), its path is what \
         counts, in the region that the request is signed for; `/queue/REGION/ACCOUNT/NAME` names the region.",
    ),
    ("sqs", "Version 1 of the AWS CLI does not send SQS to `AWS_ENDPOINT_URL`: it needs `--endpoint-url`."),
    (
        "sqs",
        "Attributes of a queue act from the next request on, where AWS takes up to 60 seconds; the counts of \
         messages are exact.",
    ),
    (
        "sqs",
        "The attributes `KmsMasterKeyId`, `KmsDataKeyReusePeriodSeconds` (but for `300`) and `SqsManagedSseEnabled` \
         `true` are refused by name: messages are not encrypted on the node's disk.",
    ),
    (
        "sqs",
        "Requests are not throttled: `FifoThroughputLimit` `perQueue` allows as much as `perMessageGroupId`.",
    ),
    (
        "sqs",
        "Messages of a standard queue come in the order in which they became visible. `MessageGroupId` on a standard \
         queue is kept and handed out; it does not change that order.",
    ),
    (
        "sqs",
        "`SenderId` is the account for its root, and `AROA...:SESSION` for a role's session, made of the role's name.",
    ),
    (
        "sqs",
        "A policy's Deny is for the owner, too; the account's root may always read and change the attributes of its \
         queue. Conditions on strings, ARNs, numbers, truths, addresses and `Null` are understood; an Allow with \
         another operator allows nothing. `Policy` must be a document that can be read: its principals are not \
         looked up.",
    ),
    ("sqs", "20,000 receives wait at one time; more are answered as if they had not asked to wait."),
];

pub const DEFAULT_ONLY: &[MemberNote] = &[
    ("lambda", "CreateFunction", "Architectures", "the node's own: a function of another can't run here"),
    ("lambda", "CreateFunction", "PackageType", "`Zip`"),
    ("lambda", "CreateFunction", "TracingConfig", "`Mode`: `PassThrough`"),
    ("lambda", "UpdateFunctionCode", "Architectures", "the node's own"),
    ("lambda", "UpdateFunctionConfiguration", "TracingConfig", "`Mode`: `PassThrough`"),
    ("logs", "CreateLogGroup", "deletionProtectionEnabled", "`false`"),
    ("logs", "CreateLogGroup", "logGroupClass", "`STANDARD`"),
    ("logs", "DescribeLogGroups", "includeLinkedAccounts", "`false`"),
    ("logs", "FilterLogEvents", "unmask", "`false`"),
    ("logs", "GetLogEvents", "unmask", "`false`"),
];

pub const READ_WITHOUT_EFFECT: &[MemberNote] = &[
    ("scheduler", "UpdateSchedule", "ClientToken", "the same update twice is one anyway"),
    ("scheduler", "DeleteSchedule", "ClientToken", "the second one finds nothing to delete"),
    ("scheduler", "DeleteScheduleGroup", "ClientToken", "the second one finds nothing to delete"),
    ("events", "DeleteRule", "Force", "it is for rules that AWS's services manage"),
    (
        "events",
        "PutRule",
        "RoleArn",
        "kept and shown; a rule has no part of its own that asks for permission",
    ),
    ("events", "RemoveTargets", "Force", "it is for rules that AWS's services manage"),
    ("logs", "FilterLogEvents", "interleaved", "events are always interleaved, as with AWS"),
    ("logs", "PutLogEvents", "entity", "not kept; the answer says so in `rejectedEntityInfo`"),
    ("logs", "PutLogEvents", "sequenceToken", "every token is accepted, as with AWS"),
];

/// Service, operation, and what differs.
pub const OPERATION_NOTES: &[(&str, &str, &str)] = &[
    (
        "lambda",
        "AddPermission",
        "statements are kept and shown whole; they decide whether another account may invoke the function, and \
         who may use its URLs. One with a condition on a source or an organisation lets nobody in.",
    ),
    (
        "lambda",
        "CreateFunction",
        "a runtime that AWS knows and this node lacks is accepted; the function becomes Failed with \
         `InvalidRuntime` and a reason that says how to add it, and Active once it was added.",
    ),
    (
        "lambda",
        "CreateFunction",
        "layers of another account, AWS's public ones among them, are refused with `AccessDeniedException`: \
         publish them here.",
    ),
    (
        "lambda",
        "CreateFunction",
        "`SnapStart` is for Python 3.12 and later on x86-64; Java and .NET are refused as the reference refuses other \
         runtimes. A version whose init leaves threads, children, sockets, pipes, timers, shared memory, or files in `/tmp` \
         behind, or that has external extensions, is Failed, and its StateReason names them: only memory and files that can \
         be opened again are kept. `AWS_LAMBDA_LOG_GROUP_NAME` and `AWS_LAMBDA_LOG_STREAM_NAME` are set, to a restored \
         environment's own.",
    ),
    (
        "lambda",
        "CreateFunction",
        "a package with entries that lead out of it, or with more entries than the limit, is refused.",
    ),
    (
        "lambda",
        "GetFunctionCodeSigningConfig",
        "always the answer for a function that has none: its name alone.",
    ),
    (
        "lambda",
        "InvokeWithResponseStream",
        "streamed answers are not slowed down after their first 6 MB; they end at 200 MB as with AWS. `ErrorCode` \
         is `Unhandled` for every failure of a function.",
    ),
    (
        "lambda",
        "Invoke",
        "`InvocationType` `Event`: on the disk before the 202, at least once, with AWS's waits between attempts; an \
         attempt that a stop of the node cut off is made again.",
    ),
    (
        "lambda",
        "PutFunctionEventInvokeConfig",
        "a destination must be a function of the same account and region, or a standard queue, a standard topic or an \
         event bus of the same region. An event for a bus that is not there is counted as not delivered.",
    ),
    (
        "lambda",
        "Invoke",
        "a call of a function that is Pending waits for it, 10 s at the most, instead of failing at once.",
    ),
    (
        "lambda",
        "Invoke",
        "the answer has one header more, `x-lambent-timing`: cold or warm, and where the time went.",
    ),
    ("lambda", "ListCodeSigningConfigs", "always an empty list: none can be made here."),
    (
        "lambda",
        "ListFunctions",
        "a `MasterRegion` other than `ALL` finds nothing: functions are not replicated to other regions.",
    ),
    (
        "lambda",
        "ListTags",
        "for functions and event source mappings; other resources of Lambda are not here, and so not found.",
    ),
    (
        "lambda",
        "PutProvisionedConcurrencyConfig",
        "an allocation that failed is tried again every 30 s, and calls run on demand meanwhile. With `FAILED`, \
         `StatusReason` is `FUNCTION_ERROR_INIT_FAILURE`, or `NO_EXECUTION_ENVIRONMENT` where the host has no \
         room. An alias and a version share the environments of the version: who calls the version by its number \
         is served by those of the alias too.",
    ),
    (
        "lambda",
        "TagResource",
        "the tag `lambent:egress` takes `none`, `services` and `internet`, and acts from the next call on.",
    ),
    (
        "lambda",
        "UpdateFunctionConfiguration",
        "runtimes that the node lacks, and layers of another account, as with CreateFunction.",
    ),
    ("events", "CreateEventBus", "a name that holds a `/` is one of a partner's bus, and refused."),
    (
        "events",
        "PutEvents",
        "an event for another account's bus of this node needs its policy; conditions on organisations are never met.",
    ),
    (
        "events",
        "PutRule",
        "`ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS` is refused by name: there is no CloudTrail.",
    ),
    (
        "events",
        "CreateArchive",
        "an archive is ENABLED at once, and has what its bus gets from then on. `RetentionDays` are counted from when an \
         event came. There is no managed rule `Events-Archive-NAME`.",
    ),
    (
        "events",
        "StartReplay",
        "events come in the order of their times, as fast as the disk takes them, each with its `replay-name`. An end in \
         the future is allowed: what is in the archive when the replay comes to it is replayed. A node that is killed \
         may replay up to 100 events twice. A replay that has ended is forgotten after 90 days.",
    ),
    (
        "events",
        "PutTargets",
        "an input template has to make JSON; one of several quoted lines is refused. To a function or a bus the \
         hand-over is one commit, and there is no attempt that could fail for a while. A role counts with queues and topics; with \
         buses it is kept and shown.",
    ),
    (
        "scheduler",
        "CreateSchedule",
        "to a function or a bus the hand-over is one commit, and there is no attempt that could fail for a while.",
    ),
    ("logs", "CreateLogGroup", "tags are kept and shown; no policy reads them."),
    ("sqs", "PurgeQueue", "messages are out of reach at once; the room on the disk is freed afterwards."),
    ("sqs", "StartMessageMoveTask", "without a rate, messages are moved as fast as the disk takes them."),
    (
        "logs",
        "DescribeLogGroups",
        "`logGroupClass` finds every group with `STANDARD` and none with the other classes, which can't be made.",
    ),
    (
        "logs",
        "FilterLogEvents",
        "one request looks through 32 MB of events; then it answers with what it found and a token.",
    ),
    (
        "logs",
        "PutLogEvents",
        "an answered event survives the end of the process; a cut of the host's power may take the last seconds.",
    ),
];

pub const RUNTIME_NOTES: &str = "\
Interpreters are those that the host has, of exactly the version in the identifier, or bundles that were added with
`lambent runtimes add`; `lambent runtimes` lists what is there. `lambent up --runtime-alias python3.12=python3.11`
serves one by another of the same language. The clients that call handlers are Lambent's own, with AWS's handler
forms, context and error documents; the AWS SDKs that AWS's runtimes include are installed by
`lambent runtimes prepare`. A live runtime that is not there is accepted, and the function becomes Failed until it
is.";
