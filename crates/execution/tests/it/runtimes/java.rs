//! The Java client, on every Java of this host. Functions are compiled by the JDK that stands beside it.

use std::path::Path;
use std::process::Command;

use lambent_execution::runtimes::Launch;
use serde_json::json;

use super::api::Event;
use super::run::Function;
use super::{boot, launch};

const VERSIONS: [&str; 4] = ["java11", "java17", "java21", "java25"];

const FORMS: &str = r#"
package example;

import com.amazonaws.services.lambda.runtime.*;
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;

public class Forms implements RequestHandler<Map<String, Object>, Map<String, Object>> {
    public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
        System.out.println("printed é");
        context.getLogger().log("two\nlines");
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("event", event);
        answer.put("id", context.getAwsRequestId());
        answer.put("left", context.getRemainingTimeInMillis() > 0);
        answer.put("memory", context.getMemoryLimitInMB());
        answer.put("arn", context.getInvokedFunctionArn());
        answer.put("trace", System.getProperty("com.amazonaws.xray.traceHeader"));
        answer.put("client", context.getClientContext() == null ? null : context.getClientContext().getCustom());
        return answer;
    }

    public String text(String event) { return event + "!"; }
    public int add(List<Integer> numbers, Context context) { int sum = 0; for (int n : numbers) sum += n; return sum; }
    public static double half(double number) { return number / 2; }
    public boolean not(boolean value) { return !value; }
    public void nothing() {}
    public void pipe(InputStream in, OutputStream out) throws IOException { in.transferTo(out); }
    public Order order(Order order) { order.setTotal(order.getTotal() * 2); order.getItems().get(0).name += "?"; return order; }
    public Event records(Event event) { return event; }

    public static class Order {
        private double total;
        private List<Item> items;
        private Kind kind;
        private Optional<String> note = Optional.empty();
        public double getTotal() { return total; }
        public void setTotal(double total) { this.total = total; }
        public List<Item> getItems() { return items; }
        public void setItems(List<Item> items) { this.items = items; }
        public Kind getKind() { return kind; }
        public void setKind(Kind kind) { this.kind = kind; }
        public Optional<String> getNote() { return note; }
        public boolean isLarge() { return total > 100; }
    }
    public static class Item { public String name; }
    public enum Kind { SMALL, BIG }
    public static class Event {
        private List<Map<String, Object>> records;
        private Date at;
        private final String fixed;
        public Event(String fixed) { this.fixed = fixed; }
        public List<Map<String, Object>> getRecords() { return records; }
        public void setRecords(List<Map<String, Object>> records) { this.records = records; }
        public Date getAt() { return at; }
        public void setAt(Date at) { this.at = at; }
        public String getFixed() { return fixed; }
    }
}
"#;

const STREAM: &str = r#"
package example;

import com.amazonaws.services.lambda.runtime.*;
import java.io.*;

public class Stream implements RequestStreamHandler {
    public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
        out.write('['); in.transferTo(out); out.write(']');
    }
}
"#;

const FAILS: &str = r#"
package example;

public class Fails {
    public Object now(Object event) { throw new IllegalStateException("no good é", new RuntimeException("why")); }
    public Object leaves(Object event) { System.exit(5); return null; }
    public Object memory(Object event) { throw new OutOfMemoryError("full"); }
    private Object hidden(Object event) { return null; }

    public static class Top {
        static { if (true) throw new IllegalArgumentException("at the top"); }
        public Object h(Object event) { return null; }
    }
}
"#;

const BECOMES: &str = r#"
package example;

import java.io.InputStream;
import java.util.*;

public class Becomes {
    static final String AT_START = System.getenv("OWN");

    public Map<String, Object> h(Object event) throws Exception {
        ProcessBuilder changed = new ProcessBuilder("sh", "-c", "echo $OWN$ADDED");
        changed.environment().put("ADDED", "+");
        Map<String, Object> answer = new TreeMap<>();
        answer.put("own", System.getenv("OWN"));
        answer.put("start", AT_START);
        answer.put("left", System.getenv("LEFT_OVER"));
        answer.put("handover", System.getenv("_LAMBENT_HANDOVER_FD"));
        answer.put("inherited", output(new ProcessBuilder("sh", "-c", "echo $OWN$LEFT_OVER")));
        answer.put("executed", output(Runtime.getRuntime().exec(new String[] {"sh", "-c", "echo $OWN"})));
        answer.put("changed", output(changed));
        answer.put("beside", new String(getClass().getResourceAsStream("/beside.txt").readAllBytes()));
        answer.put("jar", Class.forName("example.InJar").getField("WORD").get(null));
        answer.put("trace", System.getProperty("com.amazonaws.xray.traceHeader"));
        answer.put("heap", Runtime.getRuntime().maxMemory() >> 20 > 300);
        System.out.println("spoken");
        return answer;
    }

    private static String output(ProcessBuilder builder) throws Exception { return output(builder.start()); }
    private static String output(Process child) throws Exception {
        return new String(child.getInputStream().readAllBytes()).trim();
    }
}
"#;

const IN_JAR: &str =
    "package example; public class InJar { public static final String WORD = \"of a jar\"; }";

#[test]
fn a_machine_that_waited_becomes_its_function_and_nothing_of_the_boot_is_left() {
    each(|id, _, function| {
        let Some(boot) = boot(id, 512) else {
            assert_eq!(id, "java11", "the others can wait");
            return;
        };
        let mut run = function.on(&boot, "example.Becomes::h").env(&[("OWN", "mine")]);
        run.parked = true;
        let outcome = run.call(&["1"]);
        let expected = json!({
            "own": "mine", "start": "mine", "left": null, "handover": null, "inherited": "mine", "executed": "mine",
            "changed": "mine+", "beside": "here", "jar": "of a jar", "trace": "Root=1-1", "heap": true,
        });
        assert_eq!(outcome.posts[0].json(), expected, "{id} {outcome:#?}");
        assert_eq!(outcome.output, "spoken\n", "{id}: the rehearsal is silent");

        let mut run = function.on(&boot, "example.None");
        run.parked = true;
        let outcome = run.call(&["1"]);
        assert_eq!(outcome.error().0, "java.lang.ClassNotFoundException", "{id}");
        assert_eq!(outcome.exit_code, Some(1), "{id}");
    });
}

fn each(check: impl Fn(&str, &Launch, &Function)) {
    for id in VERSIONS {
        let Some(launch) = launch(id) else { continue };
        let function = Function::new(&[
            ("example/Forms.java", FORMS),
            ("example/Stream.java", STREAM),
            ("example/Fails.java", FAILS),
            ("example/Becomes.java", BECOMES),
            ("beside.txt", "here"),
        ]);
        put_jar(&launch, &function);
        let client = launch.mounts.iter().find(|mount| mount.target == Path::new("/var/runtime")).unwrap();
        let javac = Path::new(&launch.argv[0]).with_file_name("javac");
        let compiled = Command::new(javac)
            .args(["-nowarn", "-encoding", "UTF-8", "-cp"])
            .arg(client.sources[0].join("classes"))
            .args(["example/Forms.java", "example/Stream.java", "example/Fails.java"])
            .arg("example/Becomes.java")
            .current_dir(function.path())
            .status();
        match compiled {
            Ok(status) if status.success() => check(id, &launch, &function),
            _ => eprintln!("ABSENT: no compiler beside {id}; it was not tested on this host"),
        }
    }
}

/// A class that only a jar has, in the folder for jars.
fn put_jar(launch: &Launch, function: &Function) {
    let made = tempfile::tempdir().unwrap();
    let lib = function.path().join("lib");
    std::fs::create_dir_all(&lib).unwrap();
    std::fs::write(made.path().join("InJar.java"), IN_JAR).unwrap();
    let tool = |name: &str| Command::new(Path::new(&launch.argv[0]).with_file_name(name));
    // Where there are no such tools, the caller says so.
    let _ = tool("javac").args(["-d", "."]).arg("InJar.java").current_dir(made.path()).status();
    let _ = tool("jar").arg("-cf").arg(lib.join("a.jar")).arg("example").current_dir(made.path()).status();
}

#[test]
fn handlers_are_called_in_every_form() {
    let cases = [
        ("example.Forms::text", r#""é""#, json!("é!")),
        ("example.Forms::add", "[1, 2, 3]", json!(6)),
        ("example.Forms::half", "3", json!(1.5)),
        ("example.Forms::not", "true", json!(false)),
        ("example.Forms::nothing", "1", json!(null)),
        ("example.Forms::pipe", r#"{"a":[1]}"#, json!({"a": [1]})),
        ("example.Stream", "7", json!([7])),
        ("example.Stream::handleRequest", "7", json!([7])),
        (
            "example.Forms::order",
            r#"{"total": 75, "items": [{"name": "x"}], "kind": "BIG", "unknown": 1}"#,
            json!({"total": 150.0, "items": [{"name": "x?"}], "kind": "BIG", "note": null, "large": true}),
        ),
        (
            "example.Forms::records",
            r#"{"Records": [{"a": 1}], "at": 1.5, "fixed": "f"}"#,
            json!({"records": [{"a": 1}], "at": 1500, "fixed": "f"}),
        ),
    ];
    each(|id, launch, function| {
        for (handler, event, answer) in &cases {
            assert_eq!(function.on(launch, handler).call(&[event]).answer(), *answer, "{id} {handler}");
        }
    });
}

#[test]
fn a_handler_gets_its_context_and_its_log() {
    each(|id, launch, function| {
        let second = Event {
            body: "{}".into(),
            headers: vec![("Lambda-Runtime-Client-Context", r#"{"custom":{"k":"v"}}"#.into())],
        };
        let mut run = function.on(launch, "example.Forms");
        run.chunked = true;
        let outcome = run.call_with(vec![r#"{"a": 1}"#.into(), second]);
        let expected = json!({
            "event": {"a": 1}, "id": "request-1", "left": true, "memory": 256, "trace": "Root=1-1",
            "arn": "arn:aws:lambda:eu-west-1:000000000000:function:f", "client": null,
        });
        assert_eq!(outcome.posts[0].json(), expected, "{id}");
        assert_eq!(outcome.posts[1].json()["client"], json!({"k": "v"}), "{id}");
        assert_eq!(outcome.messages(), ["two\nlines"; 2], "{id}");
        assert_eq!(outcome.frames[0].kind, 0xa55a_0003, "{id}");
        assert_eq!(outcome.output, "printed é\nprinted é\n", "{id}");

        let env = [("AWS_LAMBDA_LOG_FORMAT", "JSON")];
        let outcome = function.on(launch, "example.Forms").env(&env).call(&["{}"]);
        let line: serde_json::Value = serde_json::from_str(outcome.messages()[0]).unwrap();
        assert_eq!(
            (&line["message"], &line["AWSRequestId"]),
            (&json!("two\nlines"), &json!("request-1")),
            "{id}"
        );
    });
}

#[test]
fn errors_are_answered_with_their_stack_and_causes() {
    each(|id, launch, function| {
        let outcome = function.on(launch, "example.Fails::now").call(&["1"]);
        let body = outcome.post().json();
        assert_eq!(outcome.error(), ("java.lang.IllegalStateException".into(), "no good é".into()), "{id}");
        assert_eq!(body["stackTrace"], json!(["example.Fails.now(Fails.java:5)"]), "{id}");
        assert_eq!(body["cause"]["errorMessage"], "why", "{id}");
        let log = outcome.messages()[0];
        assert!(log.starts_with("no good é: java.lang.IllegalStateException\njava.lang.Ill"), "{id}: {log}");

        let outcome = function.on(launch, "example.Forms::add").call(&["{"]);
        assert_eq!(outcome.error().1, "An error occurred during JSON parsing", "{id}");
        let outcome = function.on(launch, "example.Fails::memory").call(&["1"]);
        assert_eq!(
            (outcome.error().0.as_str(), outcome.exit_code),
            ("java.lang.OutOfMemoryError", Some(1)),
            "{id}"
        );
        let outcome = function.on(launch, "example.Fails::leaves").call(&["1"]);
        assert_eq!((outcome.posts.len(), outcome.exit_code), (0, Some(5)), "{id}");
    });
}

#[test]
fn what_can_not_be_loaded_is_an_error_of_the_start() {
    let cases = [
        ("example.None", "java.lang.ClassNotFoundException", "Class not found: example.None"),
        (
            "example.Fails::none",
            "Runtime.HandlerNotFound",
            "No public method named none with appropriate method signature found on class example.Fails",
        ),
        (
            "example.Fails::hidden",
            "Runtime.HandlerNotFound",
            "No public method named hidden with appropriate method signature found on class example.Fails",
        ),
        ("example.Fails$Top::h", "java.lang.IllegalArgumentException", "at the top"),
        ("", "Runtime.MalformedHandlerName", "Invalid handler: ``"),
    ];
    each(|id, launch, function| {
        for (handler, kind, message) in cases {
            let outcome = function.on(launch, handler).call(&[]);
            assert_eq!(outcome.error(), (kind.into(), message.into()), "{id} {handler}");
            assert_eq!(
                (outcome.post().path.as_str(), outcome.exit_code),
                ("init/error", Some(1)),
                "{id} {handler}"
            );
        }
    });
}
