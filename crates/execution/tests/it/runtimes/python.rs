//! The Python client, on every Python of this host.

use lambent_execution::runtimes::Launch;
use serde_json::json;

use super::api::Event;
use super::launch;
use super::run::Function;

const VERSIONS: [&str; 6] =
    ["python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14"];

fn each(check: impl Fn(&str, &Launch)) {
    for id in VERSIONS {
        if let Some(launch) = launch(id) {
            check(id, &launch);
        }
    }
}

#[test]
fn a_handler_gets_its_event_and_its_context() {
    let function = Function::new(&[(
        "app.py",
        "import os\n\
         def h(event, context):\n\
         \x20   return dict(event=event, id=context.aws_request_id, arn=context.invoked_function_arn,\n\
         \x20       left=0 < context.get_remaining_time_in_millis() <= 3000, name=context.function_name,\n\
         \x20       memory=context.memory_limit_in_mb, group=context.log_group_name,\n\
         \x20       version=context.function_version, trace=os.environ['_X_AMZN_TRACE_ID'],\n\
         \x20       client=context.client_context and [context.client_context.custom,\n\
         \x20           context.client_context.client.app_title], identity=context.identity.cognito_identity_id)\n",
    )]);
    each(|id, launch| {
        let client = r#"{"custom":{"k":"vé"},"client":{"app_title":"t"}}"#.to_string();
        let identity = r#"{"cognitoIdentityId":"who"}"#.to_string();
        let second = Event {
            body: "[1.5]".into(),
            headers: vec![
                ("Lambda-Runtime-Client-Context", client),
                ("Lambda-Runtime-Cognito-Identity", identity),
            ],
        };
        let mut run = function.on(launch, "app.h");
        run.chunked = true;
        let outcome = run.call_with(vec![r#" {"a": "é"} "#.into(), second]);
        assert_eq!(outcome.posts.len(), 2, "{id}: {outcome:#?}");
        let (first, second) = (outcome.posts[0].json(), outcome.posts[1].json());
        assert_eq!(outcome.posts[0].path, "invocation/request-1/response");
        let expected = json!({
            "event": {"a": "é"}, "id": "request-1", "left": true, "name": "f", "memory": "256",
            "arn": "arn:aws:lambda:eu-west-1:000000000000:function:f", "group": "/aws/lambda/f",
            "version": "$LATEST", "trace": "Root=1-1", "client": null, "identity": null,
        });
        assert_eq!(first, expected, "{id}");
        assert_eq!(second["client"], json!([{"k": "vé"}, "t"]), "{id}");
        assert_eq!((&second["identity"], &second["trace"]), (&json!("who"), &json!("Root=1-2")), "{id}");
        assert_eq!(outcome.exit_code, None, "{id}: it waits for more");
    });
}

#[test]
fn a_module_is_named_with_dots_or_slashes_and_sees_its_package_first() {
    let function = Function::new(&[
        ("pkg/sub/mod.py", "import sys\ndef h(event, context): return sys.path\n"),
        ("pkg/__init__.py", ""),
    ]);
    each(|id, launch| {
        for handler in ["pkg.sub.mod.h", "pkg/sub/mod.h"] {
            let path = function.on(launch, handler).call(&["1"]).answer();
            let path: Vec<&str> = path.as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
            assert_eq!(path[0], function.path().to_str().unwrap(), "{id}");
            assert_eq!(path[1], format!("/opt/python/lib/{id}/site-packages"), "{id}");
            assert_eq!((path[2], *path.last().unwrap()), ("/opt/python", "/var/sdk/python"), "{id}");
        }
    });
}

#[test]
fn a_python_path_of_the_function_takes_the_place_of_the_layers() {
    let function = Function::new(&[
        ("app.py", "import sys\ndef h(event, context): return sys.path\n"),
        ("lib/sitecustomize.py", "print('customised')\n"),
    ]);
    each(|id, launch| {
        let own = function.path().join("lib");
        let env = [("PYTHONPATH", own.to_str().unwrap())];
        let outcome = function.on(launch, "app.h").env(&env).call(&["1"]);
        let path = outcome.answer();
        assert_eq!(path[1], own.to_str().unwrap(), "{id}");
        assert_eq!(path[path.as_array().unwrap().len() - 2], "/opt/python", "{id}");
        assert_eq!(outcome.output, "customised\n", "{id}");
    });
}

#[test]
fn values_are_written_as_the_reference_writes_them() {
    let function = Function::new(&[(
        "app.py",
        "from decimal import Decimal\nfrom collections import namedtuple, OrderedDict\nfrom enum import Enum, IntEnum\n\
         class Level(IntEnum):\n    HIGH = 3\n\
         class Text(str): pass\n\
         class Colour(str, Enum):\n    RED = 'red'\n\
         Point = namedtuple('Point', 'x y')\n\
         VALUES = {\n\
         'plain': {'a': [1, 2.5, True, None, 'x']}, 'decimal': [Decimal('1.10'), Decimal('NaN')],\n\
         'named': Point(1, Point(2, 3)), 'bytes': {'k': b'v'}, 'keys': {1: 1, None: 2, True: 3, 1.5: 4},\n\
         'enum': [Level.HIGH, Colour.RED, {Colour.RED: 1}], 'tuple': (1, (2,)), 'ordered': OrderedDict(b=1, a=2), 'subclass': Text('t'),\n\
         'none': None, 'text': 'é😀', 'half': '\\ud800', 'raw': b'\\x00\\xff'}\n\
         def h(event, context): return VALUES[event]\n",
    )]);
    let cases = [
        ("plain", r#"{"a": [1, 2.5, true, null, "x"]}"#),
        ("decimal", "[1.10, NaN]"),
        ("named", r#"{"x": 1, "y": {"x": 2, "y": 3}}"#),
        ("bytes", r#"{"k": "v"}"#),
        ("enum", r#"[3, "red", {"red": 1}]"#),
        ("tuple", "[1, [2]]"),
        ("ordered", r#"{"b": 1, "a": 2}"#),
        ("subclass", r#""t""#),
        ("none", "null"),
        ("half", r#""\ud800""#),
    ];
    each(|id, launch| {
        let events: Vec<String> = cases.iter().map(|(name, _)| format!("{name:?}")).collect();
        let mut events: Vec<&str> = events.iter().map(String::as_str).collect();
        events.extend([r#""text""#, r#""keys""#, r#""raw""#]);
        let outcome = function.on(launch, "app.h").call(&events);
        for ((name, expected), post) in cases.iter().zip(&outcome.posts) {
            assert_eq!(post.text(), *expected, "{id} {name}");
        }
        let rest = &outcome.posts[cases.len()..];
        // Since 3.12 characters are answered as they are.
        let is_new = !["python3.9", "python3.10", "python3.11"].contains(&id);
        let text = if is_new { "\"é😀\"" } else { r#""\u00e9\ud83d\ude00""# };
        assert_eq!(rest[0].text(), text, "{id}");
        assert_eq!(rest[1].json(), json!({"1": 3, "null": 2, "1.5": 4}), "{id}");
        assert_eq!(rest[2].body, [0, 255], "{id}");
        assert_eq!(rest[2].headers["content-type"], "application/unknown", "{id}");
    });
}

#[test]
fn an_error_is_answered_and_logged_with_its_stack() {
    let function = Function::new(&[(
        "app.py",
        "def inner():\n    raise ValueError('no good é')\n\ndef h(event, context):\n    inner()\n",
    )]);
    each(|id, launch| {
        let outcome = function.on(launch, "app.h").call(&["1"]);
        let file = function.path().join("app.py");
        let file = file.display();
        assert_eq!(
            outcome.post().json(),
            json!({
                "errorMessage": "no good é", "errorType": "ValueError", "requestId": "request-1",
                "stackTrace": [
                    format!("  File \"{file}\", line 5, in h\n    inner()\n"),
                    format!("  File \"{file}\", line 2, in inner\n    raise ValueError('no good é')\n"),
                ],
            }),
            "{id}"
        );
        let [frame] = outcome.frames.as_slice() else { panic!("{id}: {outcome:#?}") };
        assert_eq!(frame.kind, 0xa55a_0017, "{id}");
        assert_eq!(
            frame.message,
            format!(
                "[ERROR] ValueError: no good é\nTraceback (most recent call last):\n\
                 \u{a0}\u{a0}File \"{file}\", line 5, in h\n\u{a0}\u{a0}\u{a0}\u{a0}inner()\n\
                 \u{a0}\u{a0}File \"{file}\", line 2, in inner\n\
                 \u{a0}\u{a0}\u{a0}\u{a0}raise ValueError('no good é')"
            ),
            "{id}"
        );
    });
}

#[test]
fn what_can_not_be_called_or_written_has_the_references_error() {
    let function = Function::new(&[
        (
            "app.py",
            "def unwritable(event, context): return {1, 2}\n\
             async def later(event, context): return 1\n\
             def ok(event, context): return 1\n\
             def loop(event, context):\n    a = []; a.append((a,)); return a\n",
        ),
        ("broken.py", "def h(:\n"),
        ("needs.py", "import nowhere\n"),
        ("fails.py", "raise KeyError('k')\n"),
    ]);
    let cases = [
        (
            "app.unwritable",
            "1",
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type set is not JSON serializable",
        ),
        (
            "app.later",
            "1",
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type coroutine is not JSON serializable",
        ),
        ("app.loop", "1", "Runtime.MarshalError", "Unable to marshal response: Circular reference detected"),
        (
            "app.ok",
            "{",
            "Runtime.UnmarshalError",
            "Unable to unmarshal input: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (
            "app.ok",
            "",
            "Runtime.UnmarshalError",
            "Unable to unmarshal input: Expecting value: line 1 column 1 (char 0)",
        ),
        (
            "app.ok",
            "1 2",
            "Runtime.UnmarshalError",
            "Unable to unmarshal input: Extra data: line 1 column 3 (char 2)",
        ),
    ];
    let init = [
        (
            "app",
            "Runtime.MalformedHandlerName",
            "Bad handler 'app': not enough values to unpack (expected 2, got 1)",
        ),
        ("app.none", "Runtime.HandlerNotFound", "Handler 'none' missing on module 'app'"),
        ("none.h", "Runtime.ImportModuleError", "Unable to import module 'none': No module named 'none'"),
        (
            "needs.h",
            "Runtime.ImportModuleError",
            "Unable to import module 'needs': No module named 'nowhere'",
        ),
        (
            "broken.h",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'broken': invalid syntax (broken.py, line 1)",
        ),
        ("sys.exit", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"),
        ("fails.h", "KeyError", "'k'"),
    ];
    each(|id, launch| {
        for (handler, event, kind, message) in cases {
            let outcome = function.on(launch, handler).call(&[event]);
            assert_eq!(outcome.error(), (kind.into(), message.into()), "{id} {handler}");
            assert_eq!(outcome.exit_code, None, "{id} {handler}: it goes on");
        }
        for (handler, kind, message) in init {
            let outcome = function.on(launch, handler).call(&[]);
            assert_eq!(outcome.error(), (kind.into(), message.into()), "{id} {handler}");
            assert_eq!(outcome.post().path, "init/error", "{id} {handler}");
            assert_eq!((outcome.exit_code, outcome.first_next), (Some(1), None), "{id} {handler}");
            assert!(outcome.messages()[0].starts_with(&format!("[ERROR] {kind}: ")), "{id} {outcome:#?}");
        }
    });
}

#[test]
fn a_function_that_ends_the_process_ends_it() {
    let function = Function::new(&[(
        "app.py",
        "import os, sys\n\
         def leave(event, context): sys.exit(3)\n\
         def drop(event, context): os._exit(4)\n\
         def quits(event, context): exit(5)\n",
    )]);
    each(|id, launch| {
        for (handler, code) in [("app.leave", 3), ("app.drop", 4), ("app.quits", 5)] {
            let outcome = function.on(launch, handler).call(&["1"]);
            assert_eq!((outcome.exit_code, outcome.posts.len()), (Some(code), 0), "{id} {handler}");
        }
    });
}

const LOGGING: &str = "import logging\n\
    def h(event, context):\n\
    \x20   print('printed')\n\
    \x20   log = logging.getLogger('mine')\n\
    \x20   log.info('hidden unless asked for')\n\
    \x20   log.warning('two\\nlines %s', 1, extra={'order': 7})\n\
    \x20   context.log('direct')\n";

#[test]
fn records_of_logging_are_one_event_each() {
    let function = Function::new(&[("app.py", LOGGING)]);
    each(|id, launch| {
        let outcome = function.on(launch, "app.h").call(&["1"]);
        let [record, direct] = outcome.frames.as_slice() else { panic!("{id}: {outcome:#?}") };
        let parts: Vec<&str> = record.message.split('\t').collect();
        assert_eq!((parts[0], parts[2], parts[3]), ("[WARNING]", "request-1", "two\nlines 1\n"), "{id}");
        assert!(parts[1].ends_with('Z') && parts[1].len() == 24, "{id}: {}", parts[1]);
        assert_eq!((record.kind, direct.kind), (0xa55a_0003, 0xa55a_0003), "{id}");
        assert_eq!((direct.message.as_str(), outcome.output.as_str()), ("direct", "printed\n"), "{id}");

        let env = [("AWS_LAMBDA_LOG_LEVEL", "INFO")];
        let outcome = function.on(launch, "app.h").env(&env).call(&["1"]);
        let kinds: Vec<u32> = outcome.frames.iter().map(|frame| frame.kind).collect();
        assert_eq!(kinds, [0xa55a_000f, 0xa55a_0013, 0xa55a_0003], "{id}");
    });
}

#[test]
fn json_logs_carry_level_request_and_extras() {
    let function = Function::new(&[("app.py", LOGGING)]);
    each(|id, launch| {
        let env = [("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "WARN")];
        let outcome = function.on(launch, "app.h").env(&env).call(&["1"]);
        let record: serde_json::Value = serde_json::from_str(outcome.messages()[0]).unwrap();
        assert_eq!(outcome.frames[0].kind, 0xa55a_0012, "{id}");
        assert_eq!(
            (&record["level"], &record["message"], &record["logger"], &record["requestId"], &record["order"]),
            (&json!("WARNING"), &json!("two\nlines 1"), &json!("mine"), &json!("request-1"), &json!(7)),
            "{id}"
        );
    });
}

#[test]
fn without_the_descriptor_lines_go_to_stdout() {
    let function = Function::new(&[("app.py", "def h(event, context): raise OSError('x')\n")]);
    each(|id, launch| {
        let mut run = function.on(launch, "app.h");
        run.framed = false;
        let outcome = run.call(&["1"]);
        assert!(outcome.output.starts_with("[ERROR] OSError: x\rTraceback"), "{id}: {}", outcome.output);
    });
}

#[test]
fn an_event_of_six_megabytes_goes_through() {
    let function = Function::new(&[("app.py", "def h(event, context): return event\n")]);
    each(|id, launch| {
        let event = format!("\"{}\"", "x".repeat(6_000_000));
        let outcome = function.on(launch, "app.h").call(&[&event]);
        assert!(outcome.post().body == event.as_bytes(), "{id}");
    });
}
