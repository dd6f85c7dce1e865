//! Answers in pieces, through the executor.

use std::future::poll_fn;

use super::*;

/// Begins a streamed response; what follows are chunks.
async fn begin(inside: &mut Inside, id: &str) {
    let head = format!(
        "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n\
         Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\
         Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n"
    );
    inside.api.write_all(head.as_bytes()).await.unwrap();
}

async fn chunk(inside: &mut Inside, data: &str) {
    let text = format!("{:x}\r\n{data}\r\n", data.len());
    inside.api.write_all(text.as_bytes()).await.unwrap();
}

/// Ends it and reads the status of the answer.
async fn end(inside: &mut Inside, trailers: &str) -> u16 {
    inside.api.write_all(format!("0\r\n{trailers}\r\n").as_bytes()).await.unwrap();
    status(inside).await
}

async fn status(inside: &mut Inside) -> u16 {
    let mut data = Vec::new();
    while !data.ends_with(b"}") && !data.ends_with(b"}\n") {
        let mut chunk = [0; 4096];
        let n = inside.api.read(&mut chunk).await.unwrap();
        assert!(n > 0, "the Runtime API hung up");
        data.extend_from_slice(&chunk[..n]);
    }
    String::from_utf8_lossy(&data)[9..12].parse().unwrap()
}

async fn piece(streamed: &mut StreamedAnswer) -> Piece {
    let next = poll_fn(|cx| streamed.pieces.poll_piece(cx));
    tokio::time::timeout(PATIENCE, next).await.expect("no piece came")
}

async fn data(streamed: &mut StreamedAnswer) -> String {
    match piece(streamed).await {
        Piece::Data(data) => String::from_utf8(data.to_vec()).unwrap(),
        Piece::End(answer) => panic!("ended: {answer:?}"),
    }
}

async fn ending(streamed: &mut StreamedAnswer) -> Answer {
    loop {
        if let Piece::End(answer) = piece(streamed).await {
            return answer;
        }
    }
}

fn error(answer: &Answer) -> serde_json::Value {
    match &answer.outcome {
        Outcome::Failed(document) => serde_json::from_slice(document).unwrap(),
        Outcome::Returned(payload) => panic!("returned {payload:?}"),
    }
}

async fn streamed(house: &House) -> StreamedAnswer {
    house.executor.invoke_streaming(house.call("{}")).await.unwrap()
}

#[tokio::test]
async fn each_piece_is_handed_on_before_the_next_is_made() {
    let (go, going) = watch::channel(0);
    let house = House::new(move |mut inside: Inside| {
        let mut going = going.clone();
        async move {
            loop {
                let (id, _) = inside.next().await;
                begin(&mut inside, &id).await;
                for n in 1..=3 {
                    going.wait_for(|gone| *gone >= n).await.unwrap();
                    chunk(&mut inside, &format!("piece {n}")).await;
                }
                assert_eq!(end(&mut inside, "").await, 202);
            }
        }
    });
    let call = tokio::spawn({
        let executor = house.executor.clone();
        let call = house.call("{}");
        async move { executor.invoke_streaming(call).await.unwrap() }
    });
    go.send_replace(1);
    let mut answer = call.await.unwrap();
    assert_eq!(answer.content_type.as_deref(), Some("text/plain"));
    assert_eq!(data(&mut answer).await, "piece 1");
    go.send_replace(2);
    assert_eq!(data(&mut answer).await, "piece 2");
    go.send_replace(3);
    assert_eq!(data(&mut answer).await, "piece 3");
    let last = ending(&mut answer).await;
    assert!(matches!(last.outcome, Outcome::Returned(rest) if rest.is_empty()));
    // The environment goes on with the next call, once it has asked for it.
    while house.executor.lock().plan.call_count() > 0 {
        tokio::task::yield_now().await;
    }
    let mut again = streamed(&house).await;
    ending(&mut again).await;
    assert_eq!(house.seen.prepared.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_whole_answer_and_a_failed_one_come_as_pieces_too() {
    let house = House::new(|mut inside: Inside| async move {
        loop {
            let (id, body) = inside.next().await;
            let path = if body == "{}" { "response" } else { "error" };
            inside.request("POST", &format!("invocation/{id}/{path}"), "{\"errorType\":\"T\"}").await;
        }
    });
    let mut answer = streamed(&house).await;
    assert_eq!(answer.content_type, None);
    assert_eq!(data(&mut answer).await, "{\"errorType\":\"T\"}");
    assert!(matches!(ending(&mut answer).await.outcome, Outcome::Returned(_)));
    let mut answer = house.executor.invoke_streaming(house.call("[]")).await.unwrap();
    assert_eq!(error(&ending(&mut answer).await)["errorType"], "T");
}

#[tokio::test]
async fn an_error_in_the_trailers_ends_the_answer_as_a_failure() {
    let house = House::new(|mut inside: Inside| async move {
        loop {
            let (id, _) = inside.next().await;
            begin(&mut inside, &id).await;
            chunk(&mut inside, "part").await;
            // {"errorType":"Late"} in base64.
            let trailers = "Lambda-Runtime-Function-Error-Type: Late\r\n\
                            Lambda-Runtime-Function-Error-Body: eyJlcnJvclR5cGUiOiJMYXRlIn0=\r\n";
            assert_eq!(end(&mut inside, trailers).await, 202);
        }
    });
    let mut answer = streamed(&house).await;
    assert_eq!(data(&mut answer).await, "part");
    assert_eq!(error(&ending(&mut answer).await)["errorType"], "Late");
}

#[tokio::test]
async fn a_program_that_ends_in_the_middle_is_told_as_such() {
    let house = House::new(|mut inside: Inside| async move {
        let (id, _) = inside.next().await;
        begin(&mut inside, &id).await;
        chunk(&mut inside, "part").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        ExitHow::Code(3)
    });
    let mut answer = streamed(&house).await;
    assert_eq!(data(&mut answer).await, "part");
    let document = error(&ending(&mut answer).await);
    assert_eq!(document["errorType"], "Runtime.ExitError");
    assert!(document["errorMessage"].as_str().unwrap().contains("exit status 3"), "{document}");
    house.log_with("Runtime.ExitError").await;
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_is_a_truncated_response() {
    let house = House::new(|mut inside: Inside| async move {
        let (id, _) = inside.next().await;
        begin(&mut inside, &id).await;
        chunk(&mut inside, "part").await;
        let Inside { api, output: _kept, .. } = inside;
        drop(api);
        std::future::pending().await
    });
    let mut answer = streamed(&house).await;
    assert_eq!(data(&mut answer).await, "part");
    assert_eq!(error(&ending(&mut answer).await)["errorType"], "Runtime.TruncatedResponse");
}

#[tokio::test]
async fn a_stream_without_an_end_is_over_with_its_time() {
    let house = House::new(|mut inside: Inside| async move {
        let (id, _) = inside.next().await;
        begin(&mut inside, &id).await;
        loop {
            chunk(&mut inside, "tick").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut answer = house.executor.invoke_streaming(house.hasty_call()).await.unwrap();
    assert_eq!(data(&mut answer).await, "tick");
    assert_eq!(error(&ending(&mut answer).await)["errorType"], "Sandbox.Timedout");
}

#[tokio::test]
async fn a_caller_who_goes_away_lets_the_function_run_to_its_end() {
    let (done, mut is_done) = watch::channel(false);
    let done = Arc::new(done);
    let house = House::new(move |mut inside: Inside| {
        let done = done.clone();
        async move {
            let (id, _) = inside.next().await;
            begin(&mut inside, &id).await;
            for _ in 0..100 {
                chunk(&mut inside, &"x".repeat(10_000)).await;
            }
            assert_eq!(end(&mut inside, "").await, 202);
            done.send_replace(true);
            std::future::pending().await
        }
    });
    let mut answer = streamed(&house).await;
    data(&mut answer).await;
    drop(answer);
    tokio::time::timeout(PATIENCE, is_done.wait_for(|done| *done)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_caller_who_reads_slowly_slows_the_function() {
    let (sent, count) = watch::channel(0);
    let sent = Arc::new(sent);
    let house = House::new(move |mut inside: Inside| {
        let sent = sent.clone();
        async move {
            let (id, _) = inside.next().await;
            begin(&mut inside, &id).await;
            for n in 1..=400 {
                chunk(&mut inside, &"x".repeat(100_000)).await;
                sent.send_replace(n);
            }
            end(&mut inside, "").await;
            std::future::pending().await
        }
    });
    let mut answer = streamed(&house).await;
    data(&mut answer).await;
    // The rest is in sockets' buffers and in the bounded way between: 40 MB do not fit.
    let mut bytes = 0;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(*count.borrow() < 300, "{}", *count.borrow());
    let last = loop {
        match piece(&mut answer).await {
            Piece::Data(data) => bytes += data.len(),
            Piece::End(last) => break last,
        }
    };
    assert!(bytes > 0 && matches!(last.outcome, Outcome::Returned(_)));
}

#[tokio::test]
async fn a_streamed_response_to_a_caller_who_waits_is_taken_whole() {
    let house = House::new(|mut inside: Inside| async move {
        loop {
            let (id, _) = inside.next().await;
            begin(&mut inside, &id).await;
            chunk(&mut inside, "a").await;
            chunk(&mut inside, "b").await;
            assert_eq!(end(&mut inside, "").await, 202);
        }
    });
    assert_eq!(returned(house.invoke("{}").await), "ab");
}
