//! A false node: answers requests as a closure says, and remembers them. Knows nothing of signatures.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{Client, Credentials, Endpoint};

pub struct FakeNode {
    pub client: Client,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET /2015-03-31/functions/f`
    pub what: String,
    pub signed: bool,
    pub body: Value,
}

/// Status, error code (empty for none), body.
pub type Answer = (u16, &'static str, Value);

impl FakeNode {
    /// The thread that answers ends with the test's process.
    pub fn start(mut answer: impl FnMut(&Seen) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let request = read(&mut reader);
                let (status, code, body) = answer(&request);
                log.lock().unwrap().push(request);
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nx-amzn-errortype: {code}\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                reader.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        let client =
            Client { endpoint, credentials: Credentials::test(), region: "eu-west-1".into(), trust: None };
        Self { client, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What came in, without the reading of states.
    pub fn changes(&self) -> Vec<String> {
        let seen = self.seen().into_iter().map(|request| request.what);
        seen.filter(|what| !what.starts_with("GET")).collect()
    }
}

pub fn not_found() -> Answer {
    (404, "ResourceNotFoundException", json!({ "Message": "Function not found" }))
}

/// Runs a command's future to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn read(reader: &mut impl BufRead) -> Seen {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let what = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let (mut signed, mut length) = (false, 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let header = header.trim_end().to_lowercase();
        if header.is_empty() {
            break;
        }
        signed |= header.starts_with("authorization: aws4-hmac-sha256 ");
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Seen { what, signed, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}
