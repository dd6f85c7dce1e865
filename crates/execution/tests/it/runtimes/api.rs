//! A false Runtime API: hands out a list of events, keeps what is posted, and tells when the list is empty.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Clone, Default)]
pub struct Event {
    pub body: String,
    pub headers: Vec<(&'static str, String)>,
}

impl From<&str> for Event {
    fn from(body: &str) -> Self {
        Self { body: body.to_string(), headers: Vec::new() }
    }
}

#[derive(Debug, Clone)]
pub struct Post {
    /// What follows `/2018-06-01/runtime/`.
    pub path: String,
    pub headers: HashMap<String, String>,
    pub trailers: HashMap<String, String>,
    pub body: Vec<u8>,
}

pub enum News {
    /// Somebody asked for the next invocation.
    Asked,
    /// ... and there was none left.
    Drained,
}

pub struct Api {
    pub address: SocketAddr,
    pub posts: Arc<Mutex<Vec<Post>>>,
    pub news: Receiver<News>,
}

struct Shared {
    events: Mutex<std::vec::IntoIter<Event>>,
    served: Mutex<usize>,
    posts: Arc<Mutex<Vec<Post>>>,
    news: Mutex<Sender<News>>,
    chunked: bool,
}

impl Api {
    /// `chunked`: whether events are sent in chunks, as some servers of this protocol do.
    pub fn start(events: Vec<Event>, chunked: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let posts = Arc::new(Mutex::new(Vec::new()));
        let (sender, news) = channel();
        let shared = Arc::new(Shared {
            events: Mutex::new(events.into_iter()),
            served: Mutex::new(0),
            posts: Arc::clone(&posts),
            news: Mutex::new(sender),
            chunked,
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, posts, news }
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> Option<()> {
    stream.set_nodelay(true).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let line = line(&mut reader)?;
        let path = line.split(' ').nth(1)?.strip_prefix("/2018-06-01/runtime/")?.to_string();
        let headers = headers(&mut reader)?;
        let mut trailers = HashMap::new();
        let body = if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            let (body, found) = chunks(&mut reader)?;
            trailers = found;
            body
        } else {
            let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
            reader.read_exact(&mut body).ok()?;
            body
        };
        if line.starts_with("POST ") {
            shared.posts.lock().unwrap().push(Post { path, headers, trailers, body });
            writer.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}").ok()?;
        } else {
            let _ = shared.news.lock().unwrap().send(News::Asked);
            let Some(event) = shared.events.lock().unwrap().next() else {
                let _ = shared.news.lock().unwrap().send(News::Drained);
                continue;
            };
            writer.write_all(&answer(event, shared)).ok()?;
        }
    }
}

fn answer(event: Event, shared: &Shared) -> Vec<u8> {
    let number = {
        let mut served = shared.served.lock().unwrap();
        *served += 1;
        *served
    };
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let mut head = format!(
        "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: request-{number}\r\n\
         lambda-runtime-deadline-ms: {}\r\nLambda-Runtime-Trace-Id: Root=1-{number}\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:000000000000:function:f\r\n\
         Content-Type: application/json\r\n",
        now_ms + 3_000
    );
    for (name, value) in &event.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = event.body.as_bytes();
    if shared.chunked {
        head.push_str("Transfer-Encoding: chunked\r\n\r\n");
        let (first, second) = body.split_at(body.len() / 2);
        let mut bytes = head.into_bytes();
        for part in [first, second].iter().filter(|part| !part.is_empty()) {
            bytes.extend(format!("{:x}\r\n", part.len()).bytes().chain(part.iter().copied()).chain(*b"\r\n"));
        }
        bytes.extend(*b"0\r\n\r\n");
        return bytes;
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    (reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_string())
}

fn headers(reader: &mut impl BufRead) -> Option<HashMap<String, String>> {
    let mut headers = HashMap::new();
    loop {
        let line = line(reader)?;
        if line.is_empty() {
            return Some(headers);
        }
        let (name, value) = line.split_once(':')?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
    }
}

fn chunks(reader: &mut impl BufRead) -> Option<(Vec<u8>, HashMap<String, String>)> {
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&line(reader)?, 16).ok()?;
        if length == 0 {
            return Some((body, headers(reader)?));
        }
        let start = body.len();
        body.resize(start + length, 0);
        reader.read_exact(&mut body[start..]).ok()?;
        line(reader)?;
    }
}
