//! Carries what an environment writes, and what the platform says of it, into the log, in order.
//!
//! Two pipes come out of the sandbox: plain output, one event a line, and framed records of the runtime
//! clients, which may span lines. The pump reads only as fast as the log takes: a function that floods its
//! log fills its own pipe and waits there.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use lambent_core::limits;
use lambent_core::ports::{Clock, LogLine, LogSink, LogTarget};
use lambent_core::time::Timestamp;

use crate::runtime_api::Telemetry;
use crate::runtime_api::telemetry::Told;
use crate::runtime_api::telemetry::subscription::Category;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::{mpsc, oneshot};

/// A record of the clients' pipe: type, length, microseconds, text.
const FRAME_HEADER_BYTES: usize = 16;
const FRAME_MAGIC: u32 = 0xA55A_0000;
const FRAME_MAGIC_MASK: u32 = 0xFFFF_0000;

/// What is read of each pipe while a call's end waits for its last lines: twice a full pipe. A background
/// thread that writes without end can't hold the answer up.
const DRAIN_BYTES_MAX: usize = 128 * 1024;

pub const READ_BYTES: usize = 32 * 1024;

enum Command {
    /// Lines of the platform itself, behind everything written before.
    Platform(Vec<String>),
    /// A call begins, with its first line: collect a tail if it was asked for.
    Begin { tail: bool, line: Option<String> },
    /// An event of the platform for who subscribed, behind everything written before.
    Event(Told),
    /// What an extension wrote; answers when the log has taken it.
    Extension(Vec<String>, oneshot::Sender<()>),
    /// Everything written so far is to be in the log; answers with the call's tail.
    Flush(oneshot::Sender<Option<Bytes>>),
}

/// The environment's end of its pump. Dropping it ends the pump once all is written.
#[derive(Clone)]
pub struct LogPump {
    commands: mpsc::UnboundedSender<Command>,
    telemetry: Arc<Telemetry>,
}

impl LogPump {
    pub fn start(
        output: OwnedFd,
        frames: OwnedFd,
        target: LogTarget,
        sink: Arc<dyn LogSink>,
        clock: Arc<dyn Clock>,
        telemetry: Arc<Telemetry>,
    ) -> std::io::Result<Self> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let pump = Pump {
            output: Some(Receiver::from_owned_fd(output)?),
            frames: Some(Receiver::from_owned_fd(frames)?),
            output_rest: BytesMut::new(),
            frames_rest: BytesMut::new(),
            target,
            sink,
            clock,
            telemetry: telemetry.clone(),
            tail: None,
        };
        tokio::spawn(pump.run(receiver));
        Ok(Self { commands, telemetry })
    }

    pub fn platform(&self, line: Option<String>) {
        self.platform_lines(line.into_iter().collect());
    }

    pub fn platform_lines(&self, lines: Vec<String>) {
        if !lines.is_empty() {
            let _ = self.commands.send(Command::Platform(lines));
        }
    }

    pub fn begin_call(&self, tail: bool, line: Option<String>) {
        let _ = self.commands.send(Command::Begin { tail, line });
    }

    /// Whether anybody sees events: else they need not be made.
    pub fn wants_events(&self) -> bool {
        self.telemetry.wants()
    }

    pub fn event(&self, time: Timestamp, kind: &'static str, record: serde_json::Value) {
        let told = Told { category: Category::Platform, time, kind, record };
        let _ = self.commands.send(Command::Event(told));
    }

    /// Lines of an extension. Waits until the log has taken them.
    pub async fn extension(&self, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        let (sender, receiver) = oneshot::channel();
        let _ = self.commands.send(Command::Extension(lines, sender));
        let _ = receiver.await;
    }

    /// Waits until everything that was written before is in the log.
    pub async fn flush(&self) -> Option<Bytes> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.commands.send(Command::Flush(sender));
        receiver.await.unwrap_or_default()
    }
}

struct Pump {
    output: Option<Receiver>,
    frames: Option<Receiver>,
    output_rest: BytesMut,
    frames_rest: BytesMut,
    target: LogTarget,
    sink: Arc<dyn LogSink>,
    clock: Arc<dyn Clock>,
    telemetry: Arc<Telemetry>,
    tail: Option<VecDeque<u8>>,
}

impl Pump {
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                () = readable(&self.output) => { self.read_output().await; }
                () = readable(&self.frames) => { self.read_frames().await; }
            }
        }
        self.drain().await;
        self.end_line().await;
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Platform(lines) => {
                self.drain().await;
                self.end_line().await;
                self.emit_platform(lines).await;
            }
            Command::Begin { tail, line } => {
                self.tail = tail.then(VecDeque::new);
                // Between calls the program writes nothing, or what it writes belongs to no call.
                self.emit_platform(line.into_iter().collect()).await;
            }
            Command::Event(told) => {
                self.drain().await;
                self.telemetry.tell(told);
            }
            Command::Extension(lines, done) => {
                self.tell(Category::Extension, &lines);
                self.emit_platform(lines).await;
                let _ = done.send(());
            }
            Command::Flush(done) => {
                self.drain().await;
                let tail = self.tail.take().map(|t| Bytes::from(Vec::from(t)));
                let _ = done.send(tail);
            }
        }
    }

    /// Passes lines on to who subscribed to them.
    fn tell<'a>(&self, category: Category, lines: impl IntoIterator<Item = &'a String>) {
        if self.telemetry.wants() {
            let now = self.clock.now();
            lines.into_iter().for_each(|line| self.telemetry.line(category, now, line));
        }
    }

    async fn emit_function(&mut self, lines: Vec<LogLine>) {
        self.tell(Category::Function, lines.iter().map(|line| &line.text));
        self.emit(lines).await;
    }

    async fn emit_platform(&mut self, lines: Vec<String>) {
        let time = self.clock.now();
        self.emit(lines.into_iter().map(|text| LogLine { time, text }).collect()).await;
    }

    /// Reads what is in the pipes now. Frames first: a client that logs and then prints is the rarer case of
    /// the two, and either order across pipes is a guess.
    async fn drain(&mut self) {
        for _ in 0..DRAIN_BYTES_MAX / READ_BYTES {
            let got_frames = self.read_frames().await;
            let got_output = self.read_output().await;
            if !got_frames && !got_output {
                break;
            }
        }
    }

    async fn read_output(&mut self) -> bool {
        if !fill(&mut self.output, &mut self.output_rest) {
            return false;
        }
        let now = self.clock.now();
        let mut lines = Vec::new();
        while let Some(line) = take_line(&mut self.output_rest) {
            lines.push(LogLine { time: now, text: text(&line) });
        }
        self.emit_function(lines).await;
        true
    }

    async fn read_frames(&mut self) -> bool {
        if !fill(&mut self.frames, &mut self.frames_rest) {
            return false;
        }
        let now = self.clock.now();
        let mut lines = Vec::new();
        loop {
            match take_frame(&mut self.frames_rest) {
                Framed::Record { time, text: record } => {
                    lines.push(LogLine { time: time.unwrap_or(now), text: text(&record) });
                }
                Framed::Incomplete => break,
                Framed::Garbage => {
                    // Whatever writes here without framing is user code that found the descriptor. Its pipe is
                    // closed; its output stays.
                    self.frames = None;
                    self.frames_rest.clear();
                    break;
                }
            }
        }
        self.emit_function(lines).await;
        true
    }

    /// A last line without its newline becomes an event when something else follows it.
    async fn end_line(&mut self) {
        if !self.output_rest.is_empty() {
            let rest = self.output_rest.split();
            let line = LogLine { time: self.clock.now(), text: text(&rest) };
            self.emit_function(vec![line]).await;
        }
    }

    async fn emit(&mut self, lines: Vec<LogLine>) {
        if lines.is_empty() {
            return;
        }
        if let Some(tail) = &mut self.tail {
            for line in &lines {
                tail.extend(line.text.as_bytes());
                if !line.text.ends_with('\n') {
                    tail.push_back(b'\n');
                }
                let excess = tail.len().saturating_sub(limits::LOG_TAIL_BYTES_MAX);
                tail.drain(..excess);
            }
        }
        self.sink.append(&self.target, lines).await;
    }
}

async fn readable(pipe: &Option<Receiver>) {
    match pipe {
        // An error surfaces again, with its reason, in the read that follows.
        Some(pipe) => {
            let _ = pipe.readable().await;
        }
        None => std::future::pending().await,
    }
}

/// Reads once. False when there is nothing to read; the pipe is forgotten at its end.
fn fill(pipe: &mut Option<Receiver>, buffer: &mut BytesMut) -> bool {
    let Some(receiver) = pipe else { return false };
    let mut chunk = [0u8; READ_BYTES];
    match receiver.try_read(&mut chunk) {
        Ok(0) => {
            *pipe = None;
            false
        }
        Ok(n) => {
            buffer.extend_from_slice(&chunk[..n]);
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => false,
        Err(_) => {
            *pipe = None;
            false
        }
    }
}

/// Up to and with the newline; or as much as one event may hold.
pub fn take_line(buffer: &mut BytesMut) -> Option<BytesMut> {
    let window = &buffer[..buffer.len().min(limits::LOG_EVENT_BYTES_MAX)];
    match window.iter().position(|b| *b == b'\n') {
        Some(end) => Some(buffer.split_to(end + 1)),
        None if buffer.len() >= limits::LOG_EVENT_BYTES_MAX => {
            Some(buffer.split_to(limits::LOG_EVENT_BYTES_MAX))
        }
        None => None,
    }
}

enum Framed {
    Record { time: Option<Timestamp>, text: BytesMut },
    Incomplete,
    Garbage,
}

fn take_frame(buffer: &mut BytesMut) -> Framed {
    if buffer.len() < FRAME_HEADER_BYTES {
        return Framed::Incomplete;
    }
    let mut header = &buffer[..FRAME_HEADER_BYTES];
    let magic = header.get_u32();
    let length = header.get_u32() as usize;
    let micros = header.get_u64();
    if magic & FRAME_MAGIC_MASK != FRAME_MAGIC || length > limits::LOG_EVENT_BYTES_MAX * 4 {
        return Framed::Garbage;
    }
    if buffer.len() < FRAME_HEADER_BYTES + length {
        return Framed::Incomplete;
    }
    buffer.advance(FRAME_HEADER_BYTES);
    let time = (micros != 0).then(|| Timestamp::from_millis(micros / 1000));
    Framed::Record { time, text: buffer.split_to(length) }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_its_newline_or_at_the_limit() {
        let mut buffer = BytesMut::from(&b"one\ntwo"[..]);
        assert_eq!(take_line(&mut buffer).unwrap(), "one\n");
        assert!(take_line(&mut buffer).is_none());
        let mut buffer = BytesMut::from(&vec![b'x'; limits::LOG_EVENT_BYTES_MAX + 5][..]);
        assert_eq!(take_line(&mut buffer).unwrap().len(), limits::LOG_EVENT_BYTES_MAX);
        assert_eq!(buffer.len(), 5);
    }

    #[test]
    fn a_frame_may_hold_many_lines_and_garbage_is_told_apart() {
        let mut frame = Vec::new();
        frame.extend_from_slice(&0xA55A_0003u32.to_be_bytes());
        frame.extend_from_slice(&7u32.to_be_bytes());
        frame.extend_from_slice(&1_000_000u64.to_be_bytes());
        frame.extend_from_slice(b"two\nway");
        let mut buffer = BytesMut::from(&frame[..20]);
        assert!(matches!(take_frame(&mut buffer), Framed::Incomplete));
        buffer.extend_from_slice(&frame[20..]);
        match take_frame(&mut buffer) {
            Framed::Record { time, text } => {
                assert_eq!((time, &text[..]), (Some(Timestamp::from_millis(1000)), &b"two\nway"[..]));
            }
            _ => panic!("a whole frame is a record"),
        }
        let mut buffer = BytesMut::from(&b"print straight into descriptor three"[..]);
        assert!(matches!(take_frame(&mut buffer), Framed::Garbage));
    }
}
