//! What becomes of a call, in its function's log and for who follows calls.

use super::*;

impl House {
    /// What was told of calls, once it is `count` of them.
    async fn followed(&self, count: usize) -> Vec<CallHop> {
        self.until(|seen| seen.followed.lock().unwrap().len() >= count).await;
        self.seen.followed.lock().unwrap().clone()
    }
}

/// The REPORT lines of a log, without their first field.
fn reports(log: &str) -> Vec<String> {
    let lines = log.lines().filter_map(|line| line.strip_prefix("REPORT RequestId: "));
    lines.filter_map(|line| line.split_once('\t')).map(|(_, rest)| rest.to_owned()).collect()
}

/// The text with every number in it as `#`.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for c in text.chars() {
        let in_number = c.is_ascii_digit() || c == '.' && shape.ends_with('#');
        match in_number {
            true if shape.ends_with('#') => {}
            true => shape.push('#'),
            false => shape.push(c),
        }
    }
    shape
}

async fn fails_its_init(mut inside: Inside, error: &str) -> ExitHow {
    inside
        .request("POST", "init/error", &format!("{{\"errorType\":\"{error}\",\"errorMessage\":\"no\"}}"))
        .await;
    ExitHow::Code(1)
}

#[tokio::test]
async fn the_first_report_of_an_environment_has_its_five_stages_behind_the_references_fields() {
    let house = House::new(echo);
    returned(house.invoke("1").await);
    house.followed(1).await;
    returned(house.invoke("2").await);
    house.followed(2).await;
    let log = house.log_with("REPORT RequestId").await;
    let found: Vec<String> = reports(&log).iter().map(|line| shape(line)).collect();
    let usual = "Duration: # ms\tBilled Duration: # ms\tMemory Size: # MB\tMax Memory Used: # MB\t";
    let stages = "Stages: sandbox # ms, code # ms, runtime # ms, init # ms, handler # ms\t";
    assert_eq!(found[0], format!("{usual}Init Duration: # ms\t{stages}"));
    if let Some(second) = found.get(1) {
        assert_eq!(second, usual);
    }
}

#[tokio::test]
async fn an_init_that_the_runtime_gives_up_is_an_error_of_its_kind_in_every_line() {
    for (told, kind) in
        [("Runtime.ImportModuleError", "Runtime.ImportModuleError"), ("ValueError", "Runtime.Unknown")]
    {
        let house = House::new(move |inside| fails_its_init(inside, told));
        house.failure().await;
        let log = house.log_with("REPORT RequestId").await;
        let [report] = &reports(&log)[..] else { panic!("{log}") };
        assert!(report.ends_with(&format!("\tStatus: error\tError Type: {kind}\t")), "{report:?}");
        for phase in ["init", "invoke"] {
            let line = format!(" ms\tPhase: {phase}\tStatus: error\tError Type: {kind}\n");
            assert!(log.contains(&line), "{log}");
        }
        assert!(!log.contains("Error: "), "the runtime's own words are all: {log}");
    }
}

#[tokio::test]
async fn an_init_over_the_calls_time_is_a_time_out() {
    let house = House::new(|inside: Inside| async move {
        if inside.nth == 0 {
            return ExitHow::Code(1);
        }
        std::future::pending().await
    });
    let error = house.failure_of(house.hasty_call()).await;
    assert_eq!(error["errorType"], "Sandbox.Timedout");
    let log = house.log_with("REPORT RequestId").await;
    assert!(reports(&log)[0].ends_with("\tStatus: timeout\t"), "{log}");
    let [call] = &house.followed(1).await[..] else { panic!("one call") };
    assert!(matches!(call.end, CallEnd::TimedOut), "{call:?}");
}

#[tokio::test]
async fn an_init_inside_a_call_is_part_of_its_duration_and_no_init_duration() {
    let house = House::new(|inside: Inside| async move {
        if inside.nth == 0 {
            return ExitHow::Code(1);
        }
        echo(inside).await
    });
    returned(house.invoke("1").await);
    let log = house.log_with("REPORT RequestId").await;
    assert!(!log.contains("\tInit Duration: "), "{log}");
    assert!(log.contains("\tStages: sandbox "), "{log}");
}

#[tokio::test]
async fn a_program_that_can_not_be_started_is_told_of_in_the_log() {
    let detail = "No such file or directory".to_owned();
    let error = SandboxError::Program { program: "/var/task/bootstrap".into(), detail, errno: 2 };
    let house = House::with(echo, Some(error), false);
    let answer = house.executor.invoke(Invocation { tail_log: true, ..house.call("1") }).await.unwrap();
    let log = house.log_with("REPORT RequestId").await;
    let words: Vec<&str> = log.lines().map(|line| line.split([' ', '\t']).next().unwrap()).collect();
    assert_eq!(words, ["INIT_REPORT", "START", "END", "REPORT"]);
    assert!(reports(&log)[0].ends_with("\tStatus: error\tError Type: Runtime.InvalidEntrypoint\t"), "{log}");
    assert!(answer.log_tail.unwrap().ends_with(b"Runtime.InvalidEntrypoint\t\n"));
}

#[tokio::test]
async fn a_followed_call_says_what_it_found_and_why_it_waited() {
    let house = House::new(|mut inside: Inside| async move {
        loop {
            let (id, body) = inside.next().await;
            if body.contains("end") {
                return ExitHow::Code(3);
            }
            inside.respond(&id, &body).await;
        }
    });
    for (nth, payload) in ["[1,2,3]", "2", "\"end\"", "4"].into_iter().enumerate() {
        let mut call = house.call(payload);
        call.trace_header = Some("Root=1-a-b".into());
        let _ = house.executor.invoke(call).await;
        house.followed(nth + 1).await;
    }
    let calls = house.followed(4).await;
    let why = |call: &CallHop| match call.ran.as_ref().unwrap().start {
        Start::Cold { why, stages } => {
            assert!(call.waited >= stages.sandbox, "{call:?}");
            why
        }
        _ => None,
    };
    assert_eq!(
        calls.iter().map(why).collect::<Vec<_>>(),
        [Some(ColdReason::First), None, None, Some(ColdReason::Failure)]
    );
    assert!(matches!(&calls[2].end, CallEnd::Failed { kind: Some(kind), .. } if kind == "Runtime.ExitError"));
    assert_eq!(calls[0].preview.as_deref(), Some(&b"[1,2"[..]));
    assert_eq!((calls[0].request_bytes, calls[0].ran.as_ref().unwrap().response_bytes), (7, 7));
    assert_eq!(calls[0].trace_header.as_deref(), Some("Root=1-a-b"));
    let streams: Vec<_> = calls.iter().map(|call| &call.ran.as_ref().unwrap().log_stream).collect();
    assert!(streams[0] == streams[1] && streams[2] != streams[3]);
}

#[tokio::test]
async fn an_environment_made_ahead_tells_its_stages_with_its_first_call() {
    let house = House::new(echo);
    house.executor.provision(&spec().arn(), vec![(Arc::new(spec()), 1)]);
    house.executor.provision_settled(&[(Arc::new(spec()), 1)], PATIENCE).await;
    returned(house.invoke("1").await);
    returned(house.invoke("2").await);
    let calls = house.followed(2).await;
    assert!(matches!(calls[0].ran.as_ref().unwrap().start, Start::Ahead { .. }), "{calls:?}");
    assert!(matches!(calls[1].ran.as_ref().unwrap().start, Start::Warm), "{calls:?}");
    let log = house.log_with("REPORT RequestId").await;
    assert!(log.contains("\tStages: ") && !log.contains("\tInit Duration: "), "{log}");
}

#[tokio::test]
async fn a_refused_call_is_followed_and_an_events_is_left_to_who_puts_it_off() {
    let house = House::new(echo);
    for source in [Source::Invoke, Source::Event] {
        let origin = Origin::of(source, "");
        let call = Invocation { reserved_concurrency: Some(0), origin, ..house.call("1") };
        house.executor.invoke(call).await.unwrap_err();
    }
    let [call] = &house.followed(1).await[..] else { panic!("one call") };
    let reason = ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded;
    assert!(matches!(call.end, CallEnd::Throttled(found) if found == reason), "{call:?}");
    assert!(call.ran.is_none());
}
