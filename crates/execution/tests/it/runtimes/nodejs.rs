//! The Node.js client, on the Node.js of this host under every identifier that the client tells apart.

use lambent_execution::runtimes::Launch;
use serde_json::json;

use super::api::Event;
use super::launch;
use super::run::{Function, Outcome};

const VERSIONS: [&str; 4] = ["nodejs18.x", "nodejs20.x", "nodejs22.x", "nodejs24.x"];

/// Those whose handlers may take a callback.
fn each_with_callbacks(check: impl Fn(&str, &Launch)) {
    each(|id, launch| {
        if id != "nodejs24.x" {
            check(id, launch);
        }
    });
}

fn each(check: impl Fn(&str, &Launch)) {
    for id in VERSIONS {
        if let Some(launch) = launch(id) {
            check(id, &launch);
        }
    }
}

/// Any Node.js here as nodejs24.x: the identifier decides, not the version behind it.
fn as_24(launch: &Launch) -> Launch {
    let mut launch = launch.clone();
    for (name, value) in &mut launch.env {
        if name == "AWS_EXECUTION_ENV" {
            *value = "AWS_Lambda_nodejs24.x".to_string();
        }
    }
    launch
}

#[test]
fn a_handler_gets_its_event_and_its_context() {
    let function = Function::new(&[(
        "app.js",
        "exports.h = async (event, context) => ({ event, id: context.awsRequestId,\n\
         left: context.getRemainingTimeInMillis() > 0, name: context.functionName, arn: context.invokedFunctionArn,\n\
         memory: context.memoryLimitInMB, group: context.logGroupName, version: context.functionVersion,\n\
         trace: process.env._X_AMZN_TRACE_ID, client: context.clientContext, identity: context.identity })",
    )]);
    each(|id, launch| {
        let second = Event {
            body: "[1.5]".into(),
            headers: vec![
                ("Lambda-Runtime-Client-Context", r#"{"custom":{"k":"vé"}}"#.into()),
                ("Lambda-Runtime-Cognito-Identity", r#"{"cognitoIdentityId":"who"}"#.into()),
            ],
        };
        let mut run = function.on(launch, "app.h");
        run.chunked = true;
        let outcome = run.call_with(vec![r#" {"a": "é😀"} "#.into(), second]);
        let expected = json!({
            "event": {"a": "é😀"}, "id": "request-1", "left": true, "name": "f", "memory": "256",
            "arn": "arn:aws:lambda:eu-west-1:000000000000:function:f", "group": "/aws/lambda/f",
            "version": "$LATEST", "trace": "Root=1-1",
        });
        assert_eq!(outcome.posts[0].json(), expected, "{id}");
        let second = outcome.posts[1].json();
        assert_eq!(second["client"], json!({"custom": {"k": "vé"}}), "{id}");
        assert_eq!(second["identity"], json!({"cognitoIdentityId": "who"}), "{id}");
    });
}

#[test]
fn handlers_are_found_in_every_form_of_module() {
    let function = Function::new(&[
        ("common.js", "exports.h = async () => 'common'; exports.a = { b: { h: async () => 'nested' } }"),
        ("dir/sub/deep.cjs", "exports.h = async () => 'deep'"),
        ("modern.mjs", "const word = await Promise.resolve('modern'); export const h = async () => word"),
        ("typed/package.json", r#"{"type": "module"}"#),
        ("typed/mod.js", "export const h = async () => typeof require"),
        ("node_modules/packed/index.js", "exports.h = async () => 'packed'"),
        ("index.js", "const { h } = require('packed'); exports.h = h"),
        ("both.js", "exports.h = async () => 'js first'"),
        ("both.mjs", "export const h = async () => 'mjs'"),
    ]);
    let cases = [
        ("common.h", "common"),
        ("common.a.b.h", "nested"),
        ("dir/sub/deep.h", "deep"),
        ("modern.h", "modern"),
        ("typed/mod.h", "undefined"),
        ("index.h", "packed"),
        ("packed.h", "packed"),
        ("both.h", "js first"),
    ];
    each(|id, launch| {
        for (handler, answer) in cases {
            assert_eq!(function.on(launch, handler).call(&["1"]).answer(), json!(answer), "{id} {handler}");
        }
    });
}

const CALLBACKS: &str = "\
exports.later = (e, c, cb) => { setTimeout(() => cb(null, { late: 1 }), 5) };
exports.waits = (e, c, cb) => { cb(null, 'x'); setTimeout(() => console.log('after'), 20) };
exports.hurries = (e, c, cb) => { c.callbackWaitsForEmptyEventLoop = false; cb(null, 'x'); setTimeout(() => {}, 60000) };
exports.fails = (e, c, cb) => { cb(new TypeError('bad')) };
exports.word = (e, c, cb) => { cb('just a word') };
exports.done = (e, c) => { c.done(null, 'd'); c.done(null, 'ignored') };
exports.succeed = (e, c) => { c.succeed('s') };
exports.fail = (e, c) => { c.fail() };
exports.silent = (e, c) => {};
exports.stuck = (e, c) => new Promise(() => {});
exports.sync = (e, c) => { throw new RangeError('at once') };
";

#[test]
fn callbacks_end_a_call_as_in_the_reference() {
    let function = Function::new(&[("app.js", CALLBACKS)]);
    let answers = [
        ("app.later", json!({"late": 1})),
        ("app.waits", json!("x")),
        ("app.hurries", json!("x")),
        ("app.done", json!("d")),
        ("app.succeed", json!("s")),
        ("app.silent", json!(null)),
        ("app.stuck", json!(null)),
    ];
    let errors = [
        ("app.fails", "TypeError", "bad"),
        ("app.word", "string", "just a word"),
        ("app.fail", "string", "handled"),
        ("app.sync", "RangeError", "at once"),
    ];
    each_with_callbacks(|id, launch| {
        for (handler, answer) in &answers {
            let outcome = function.on(launch, handler).call(&["1", "2"]);
            assert_eq!(outcome.posts.len(), 2, "{id} {handler}: {outcome:#?}");
            assert!(outcome.posts.iter().all(|post| post.json() == *answer), "{id} {handler}: {outcome:#?}");
            assert_eq!(outcome.exit_code, None, "{id} {handler}");
        }
        for (handler, kind, message) in errors {
            let outcome = function.on(launch, handler).call(&["1"]);
            assert_eq!(outcome.error(), (kind.into(), message.into()), "{id} {handler}");
        }
        let outcome = function.on(launch, "app.waits").call(&["1"]);
        assert!(outcome.messages()[0].ends_with("\trequest-1\tINFO\tafter\n"), "{id}: {outcome:#?}");
    });
}

#[test]
fn node_24_refuses_callbacks_and_takes_plain_answers() {
    let function = Function::new(&[
        ("app.js", CALLBACKS),
        ("plain.js", "exports.h = (event) => ({ event }); exports.stuck = () => new Promise(() => {})"),
    ]);
    each(|id, launch| {
        let launch = as_24(launch);
        let outcome = function.on(&launch, "app.later").call(&["1"]);
        assert_eq!(outcome.error().0, "Runtime.CallbackHandlerDeprecated", "{id}");
        assert_eq!(outcome.post().path, "init/error", "{id}");
        assert!(outcome.messages()[0].contains("\tundefined\tERROR\tInit Error \t{"), "{id}: {outcome:#?}");
        assert_eq!(function.on(&launch, "plain.h").call(&["7"]).answer(), json!({"event": 7}), "{id}");
        assert_eq!(function.on(&launch, "plain.stuck").call(&["7"]).answer(), json!(null), "{id}");
    });
}

#[test]
fn errors_are_answered_and_logged_with_their_trace() {
    let function = Function::new(&[(
        "app.js",
        "exports.rejects = async () => { throw Object.assign(new RangeError('no good é'), { code: 'E7' }) };\n\
         exports.circle = async () => { const a = {}; a.a = a; return a };\n\
         exports.nothing = async () => {};\n",
    )]);
    each(|id, launch| {
        let outcome = function.on(launch, "app.rejects").call(&["1"]);
        let body = outcome.post().json();
        assert_eq!(outcome.error(), ("RangeError".into(), "no good é".into()), "{id}");
        assert_eq!(body["trace"][0], "RangeError: no good é", "{id}");
        assert!(body["trace"][1].as_str().unwrap().contains("app.js:1:"), "{id}: {body}");
        assert_eq!(outcome.frames[0].kind, 0xa55a_0017, "{id}");
        let (head, logged) = outcome.messages()[0].split_once("ERROR\tInvoke Error \t").unwrap();
        assert!(head.ends_with("\trequest-1\t"), "{id}: {head}");
        let logged: serde_json::Value = serde_json::from_str(logged).unwrap();
        assert_eq!((&logged["errorType"], &logged["code"]), (&json!("RangeError"), &json!("E7")), "{id}");
        assert_eq!(logged["stack"][0], "RangeError: no good é", "{id}");

        let outcome = function.on(launch, "app.circle").call(&["1"]);
        assert_eq!(outcome.error(), ("Error".into(), "Unable to stringify response body".into()), "{id}");
        assert_eq!(function.on(launch, "app.nothing").call(&["1"]).answer(), json!(null), "{id}");
        assert_eq!(function.on(launch, "app.nothing").call(&["{"]).error().0, "SyntaxError", "{id}");
    });
}

#[test]
fn what_nobody_catches_ends_the_process_with_the_references_code() {
    let function = Function::new(&[(
        "app.js",
        "exports.throws = async () => { setTimeout(() => { throw new Error('later') }, 5); await new Promise(r => setTimeout(r, 60000)) };\n\
         exports.rejects = async () => { Promise.reject(new Error('alone')); await new Promise(r => setTimeout(r, 60000)) };\n\
         exports.leaves = async () => process.exit(4);\n",
    )]);
    each(|id, launch| {
        let outcome = function.on(launch, "app.throws").call(&["1"]);
        assert_eq!(outcome.error(), ("Error".into(), "later".into()), "{id}");
        assert_eq!(outcome.exit_code, Some(129), "{id}");
        assert!(outcome.messages()[0].contains("\tERROR\tUncaught Exception \t{"), "{id}");

        let outcome = function.on(launch, "app.rejects").call(&["1"]);
        assert_eq!(
            outcome.error(),
            ("Runtime.UnhandledPromiseRejection".into(), "Error: alone".into()),
            "{id}"
        );
        assert_eq!(outcome.exit_code, Some(128), "{id}");

        let outcome = function.on(launch, "app.leaves").call(&["1"]);
        assert_eq!((outcome.exit_code, outcome.posts.len()), (Some(4), 0), "{id}");
    });
}

#[test]
fn what_can_not_be_loaded_has_the_references_error() {
    let function = Function::new(&[
        ("app.js", "exports.three = 3"),
        ("broken.js", "exports.h = ("),
        ("needs.js", "require('nowhere')"),
        ("fails.js", "throw new Error('at the top')"),
        ("modern.mjs", "await null; throw new TypeError('modern')"),
    ]);
    let cases = [
        ("app", "Runtime.MalformedHandlerName", "Bad handler"),
        (
            "../app.h",
            "Runtime.MalformedHandlerName",
            "'../app.h' is not a valid handler name. Use absolute paths when specifying root directories in handler names.",
        ),
        ("app.none", "Runtime.HandlerNotFound", "app.none is undefined or not exported"),
        ("app.three", "Runtime.HandlerNotFound", "app.three is not a function"),
        ("none.h", "Runtime.ImportModuleError", "Error: Cannot find module 'none'\nRequire stack:"),
        ("needs.h", "Runtime.ImportModuleError", "Error: Cannot find module 'nowhere'\nRequire stack:"),
        ("broken.h", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected end of input"),
        ("fails.h", "Error", "at the top"),
        ("modern.h", "TypeError", "modern"),
    ];
    each(|id, launch| {
        for (handler, kind, message) in cases {
            let outcome = function.on(launch, handler).call(&[]);
            let (found_kind, found_message) = outcome.error();
            assert_eq!(found_kind, kind, "{id} {handler}");
            assert!(found_message.starts_with(message), "{id} {handler}: {found_message}");
            assert_eq!(
                (outcome.post().path.as_str(), outcome.exit_code),
                ("init/error", Some(129)),
                "{id} {handler}"
            );
            assert!(outcome.messages()[0].contains("\tundefined\tERROR\t"), "{id} {outcome:#?}");
        }
    });
}

const STREAMS: &str = "\
const stream = (h) => awslambda.streamifyResponse(h);
exports.parts = stream(async (event, out, context) => {
  out.setContentType('text/plain'); out.write('a'); await new Promise(r => setTimeout(r, 5));
  out.write({ b: event }); out.end('é') });
exports.http = stream(async (event, out) => {
  out = awslambda.HttpResponseStream.from(out, { statusCode: 201 }); out.write('body'); out.end() });
exports.pipes = stream(async (event, out) => require('stream/promises').pipeline(
  require('stream').Readable.from([Buffer.alloc(300000, 'z'), 'end']), out));
exports.breaks = stream(async (event, out) => { out.write('part'); throw new Error('half-way') });
exports.early = stream(async (event, out) => { throw new Error('before') });
exports.open = stream(async (event, out) => { out.write('part') });
exports.empty = stream(async (event, out) => { out.end() });
exports.late = stream(async (event, out) => { out.write('x'); out.setContentType('text/plain') });
";

#[test]
fn a_response_is_streamed_as_it_is_written() {
    let function = Function::new(&[("app.js", STREAMS)]);
    let text = |outcome: &Outcome, index: usize| outcome.posts[index].text().to_string();
    each(|id, launch| {
        let outcome = function.on(launch, "app.parts").call(&["1", "2"]);
        assert_eq!(
            (text(&outcome, 0).as_str(), text(&outcome, 1).as_str()),
            (r#"a{"b":1}é"#, r#"a{"b":2}é"#),
            "{id}"
        );
        let headers = &outcome.posts[0].headers;
        assert_eq!(headers["lambda-runtime-function-response-mode"], "streaming", "{id}");
        assert_eq!(
            (headers["content-type"].as_str(), outcome.posts[0].trailers.len()),
            ("text/plain", 0),
            "{id}"
        );

        let outcome = function.on(launch, "app.http").call(&["1"]);
        assert_eq!(outcome.post().text(), "{\"statusCode\":201}\0\0\0\0\0\0\0\0body", "{id}");
        let kind = &outcome.post().headers["content-type"];
        assert_eq!(kind, "application/vnd.awslambda.http-integration-response", "{id}");

        let outcome = function.on(launch, "app.pipes").call(&["1"]);
        assert_eq!(outcome.post().body.len(), 300_003, "{id}");
        assert_eq!(function.on(launch, "app.empty").call(&["1"]).post().text(), "", "{id}");
    });
}

#[test]
fn an_error_in_a_stream_is_answered_where_it_still_can_be() {
    let function = Function::new(&[("app.js", STREAMS)]);
    each(|id, launch| {
        for (handler, message) in [
            ("app.breaks", "half-way"),
            ("app.open", "Response stream is not finished."),
            ("app.late", "Cannot set content-type, too late."),
        ] {
            let outcome = function.on(launch, handler).call(&["1", "2"]);
            assert_eq!(outcome.posts.len(), 2, "{id} {handler}: it goes on");
            let trailers = &outcome.posts[0].trailers;
            let body = base64(&trailers["lambda-runtime-function-error-body"]);
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["errorMessage"], message, "{id} {handler}");
            assert_eq!(body["errorType"], trailers["lambda-runtime-function-error-type"].as_str(), "{id}");
        }
        let outcome = function.on(launch, "app.early").call(&["1"]);
        assert_eq!(outcome.error(), ("Error".into(), "before".into()), "{id}");
    });
}

pub(super) fn base64(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[test]
fn the_console_writes_one_event_a_call_with_its_level() {
    let function = Function::new(&[(
        "app.js",
        "exports.h = async () => { console.log('two\\nlines %s', 1, { a: 1 }); console.warn('w'); console.error('e');\n\
         console.debug('d'); console.trace('t'); console.info('i'); process.stdout.write('raw\\n') }",
    )]);
    each(|id, launch| {
        let outcome = function.on(launch, "app.h").call(&["1"]);
        let kinds: Vec<u32> = outcome.frames.iter().map(|frame| frame.kind & 0xff).collect();
        assert_eq!(kinds, [0x0f, 0x13, 0x17, 0x0b, 0x07, 0x0f], "{id}");
        let (time, rest) = outcome.messages()[0].split_once('\t').unwrap();
        assert_eq!((time.len(), rest), (24, "request-1\tINFO\ttwo\nlines 1 { a: 1 }\n"), "{id}");
        assert_eq!(outcome.output, "raw\n", "{id}");

        let env = [("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "INFO")];
        let outcome = function.on(launch, "app.h").env(&env).call(&["1"]);
        let kinds: Vec<u32> = outcome.frames.iter().map(|frame| frame.kind & 0xff).collect();
        assert_eq!(kinds, [0x0e, 0x12, 0x16, 0x0e], "{id}: less than INFO is left out");
        let line: serde_json::Value = serde_json::from_str(outcome.messages()[0]).unwrap();
        assert_eq!(
            (&line["level"], &line["requestId"], &line["message"]),
            (&json!("INFO"), &json!("request-1"), &json!("two\nlines 1 { a: 1 }")),
            "{id}"
        );
    });
}

#[test]
fn an_event_of_six_megabytes_goes_through() {
    let function = Function::new(&[("app.js", "exports.h = async (event) => event")]);
    each(|id, launch| {
        let event = format!("\"{}\"", "é".repeat(3_000_000));
        assert!(function.on(launch, "app.h").call(&[&event]).post().body == event.as_bytes(), "{id}");
    });
}

/// A package that is worth keeping compiled; `WORD` is what it answers with.
fn large_package(word: &str) -> String {
    let mut source = format!("exports.word = () => '{word}';\n");
    for number in 0..2_000 {
        source.push_str(&format!("exports.f{number} = (a) => a + {number} + '................';\n"));
    }
    source.push_str("exports.fails = () => { throw new Error('here'); };\n");
    source
}

const CALLS_PACKAGE: &str = "const large = require('./large.js');\n\
    exports.h = async (event) => {\n\
      let stack; try { large.fails(); } catch (error) { stack = error.stack.split('\\n')[1]; }\n\
      const { word } = await import('./large.js');\n\
      return { word: word(), stack: stack.replace(/.*large/, ''), told: process.env._LAMBENT_CODE_CACHE ?? null,\n\
        main: require.main === module, parent: require.cache[require.resolve('./large.js')].parent.id === module.id };\n\
    };\n";

#[test]
fn compiled_code_is_sent_once_and_loaded_by_later_starts() {
    use sha2::Digest as _;
    let digest = |source: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(source))
    };
    each(|id, launch| {
        let (first, second) = (large_package("first."), large_package("second"));
        let function = Function::new(&[("app.js", CALLS_PACKAGE), ("large.js", &first)]);
        let plain = function.on(launch, "app.h").call(&["1"]).answer();
        assert_eq!(plain["word"], "first.", "{id}");

        let collect = [("_LAMBENT_CODE_CACHE", "collect")];
        let outcome = function.on(launch, "app.h").env(&collect).call(&["1", "2"]);
        let paths: Vec<&str> = outcome.posts.iter().map(|post| post.path.as_str()).collect();
        assert_eq!(
            paths,
            ["invocation/request-1/response", "lambent/code", "invocation/request-2/response"],
            "{id}"
        );
        assert_eq!(
            outcome.posts[0].json(),
            plain,
            "{id}: compiled code changes nothing that a function sees"
        );
        let (length, code) = outcome.posts[1].body.split_at(4);
        assert_eq!(
            length,
            (code.len() as u32).to_be_bytes(),
            "{id}: there are no modules behind the scripts"
        );
        let code = code.to_vec();
        let file = function.path().join("code");
        let path = file.to_string_lossy().into_owned();
        let later = [("_LAMBENT_CODE_CACHE", path.as_str())];
        std::fs::write(&file, &code).unwrap();
        assert_eq!(function.on(launch, "app.h").env(&later).call(&["1"]).answer(), plain, "{id}");

        // Another source is compiled, although V8 itself would take the code for it: the lengths agree.
        std::fs::write(function.path().join("large.js"), &second).unwrap();
        assert_eq!(function.on(launch, "app.h").env(&later).call(&["1"]).answer()["word"], "second", "{id}");
        // With a forged digest, V8 runs what was compiled from the first source: it is really loaded.
        let (old, new) = (digest(&first), digest(&second));
        let at = code.windows(old.len()).position(|window| window == old.as_bytes()).unwrap();
        let mut forged = code.clone();
        forged[at..at + new.len()].copy_from_slice(new.as_bytes());
        std::fs::write(&file, &forged).unwrap();
        assert_eq!(function.on(launch, "app.h").env(&later).call(&["1"]).answer()["word"], "first.", "{id}");

        for broken in [&b""[..], b"\xff\xff\xff\xff", &code[..100]] {
            std::fs::write(&file, broken).unwrap();
            assert_eq!(
                function.on(launch, "app.h").env(&later).call(&["1"]).answer()["word"],
                "second",
                "{id}"
            );
        }
    });
}

/// Whether Node.js can compile modules from a cache that it is told of while it runs.
fn caches_modules(launch: &Launch) -> bool {
    let mut numbers = launch.version.split('.').map(|word| word.parse::<u32>().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap()) >= (22, 10)
}

const MODULE: &str = "\
    import { existsSync } from 'node:fs';\n\
    import module from 'node:module';\n\
    export const h = async () => ({\n\
      word: word(), told: process.env._LAMBENT_CODE_CACHE ?? null, scratch: existsSync('/tmp/.lambent-modules'),\n\
      cache: module.getCompileCacheDir?.() ?? null });\n";

fn large_module(word: &str) -> String {
    let large =
        large_package(word).replace("exports.word =", "const word =").replace("exports.", "export const ");
    format!("{large}{MODULE}")
}

#[test]
fn compiled_modules_are_sent_where_nodejs_can_and_loaded_by_later_starts() {
    each(|id, launch| {
        let function = Function::new(&[("app.mjs", &large_module("first."))]);
        let collect = [("_LAMBENT_CODE_CACHE", "collect")];
        let outcome = function.on(launch, "app.h").env(&collect).call(&["1", "2"]);
        let answer = outcome.posts[0].json();
        assert_eq!(answer["word"], "first.", "{id}");
        assert_eq!((&answer["told"], &answer["scratch"]), (&json!(null), &json!(false)), "{id}");
        if !caches_modules(launch) {
            assert_eq!(outcome.posts.len(), 2, "{id}: nothing is sent");
            return;
        }
        assert_eq!(outcome.posts[1].path, "lambent/code", "{id}");
        let parts = parts_of(&outcome.posts[1].body);
        assert!(parts[0].is_empty() && parts.len() == 3, "{id}: one module and no script");
        let name = std::str::from_utf8(&parts[1]).unwrap();
        let (file, code) = (function.path().join("modules").join(name), &parts[2]);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, code).unwrap();
        let told = function.path().join("code").to_string_lossy().into_owned();
        std::fs::write(&told, "").unwrap();

        let later = [("_LAMBENT_CODE_CACHE", told.as_str())];
        let answer = function.on(launch, "app.h").env(&later).call(&["1"]).answer();
        assert_eq!(answer["word"], "first.", "{id}");
        let cache = answer["cache"].as_str().unwrap_or_default();
        assert!(cache.starts_with(&*function.path().join("modules").to_string_lossy()), "{id}: {answer}");
        let own = [("_LAMBENT_CODE_CACHE", told.as_str()), ("NODE_DISABLE_COMPILE_CACHE", "1")];
        let answer = function.on(launch, "app.h").env(&own).call(&["1"]).answer();
        assert_eq!(answer["cache"], json!(null), "{id}: the function has its own way");

        // Another source is compiled, and broken code is passed over.
        std::fs::write(function.path().join("app.mjs"), large_module("second")).unwrap();
        assert_eq!(function.on(launch, "app.h").env(&later).call(&["1"]).answer()["word"], "second", "{id}");
        std::fs::write(&file, &code[..code.len() / 2]).unwrap();
        assert_eq!(function.on(launch, "app.h").env(&later).call(&["1"]).answer()["word"], "second", "{id}");
    });
}

fn parts_of(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (part, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        parts.push(part.to_vec());
        bytes = rest;
    }
    parts
}

#[test]
fn a_small_package_sends_nothing() {
    each(|id, launch| {
        for (name, source) in
            [("app.js", "exports.h = async () => 1;"), ("app.mjs", "export const h = async () => 1;")]
        {
            let function = Function::new(&[(name, source)]);
            let collect = [("_LAMBENT_CODE_CACHE", "collect")];
            let outcome = function.on(launch, "app.h").env(&collect).call(&["1"]);
            assert_eq!(outcome.answer(), json!(1), "{id} {name}");
        }
    });
}
