//! Runs a function on a real interpreter until its events are answered.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use lambent_execution::runtimes::Launch;
use serde_json::Value;

use super::api::{Api, Event, News, Post};

/// Far more than any start takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(5);

pub struct Function {
    pub folder: tempfile::TempDir,
}

#[derive(Debug)]
pub struct Frame {
    pub kind: u32,
    pub message: String,
}

#[derive(Debug)]
pub struct Outcome {
    pub posts: Vec<Post>,
    pub frames: Vec<Frame>,
    /// What was printed, stdout and stderr together.
    pub output: String,
    /// Absent when it still waited for the next invocation.
    pub exit_code: Option<i32>,
    pub first_next: Option<Duration>,
}

pub struct Run<'a> {
    pub launch: &'a Launch,
    pub function: &'a Function,
    pub handler: &'a str,
    pub env: &'a [(&'a str, &'a str)],
    pub chunked: bool,
    pub framed: bool,
    /// The client boots knowing nothing, and is told its function through descriptor 4.
    pub parked: bool,
}

impl Function {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = folder.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        Self { folder }
    }

    pub fn on<'a>(&'a self, launch: &'a Launch, handler: &'a str) -> Run<'a> {
        Run { launch, function: self, handler, env: &[], chunked: false, framed: true, parked: false }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }
}

impl<'a> Run<'a> {
    pub fn env(self, env: &'a [(&'a str, &'a str)]) -> Self {
        Self { env, ..self }
    }

    pub fn call(self, events: &[&str]) -> Outcome {
        self.call_with(events.iter().copied().map(Event::from).collect())
    }

    pub fn call_with(self, events: Vec<Event>) -> Outcome {
        let api = Api::start(events, self.chunked);
        let scratch = tempfile::tempdir().unwrap();
        let (frames, output) = (scratch.path().join("frames"), scratch.path().join("output"));
        let begun = Instant::now();
        let mut child = if self.parked {
            self.spawn_parked(&api, &frames, &output)
        } else {
            self.spawn(&api, &frames, &output)
        };
        let (exit_code, first_next) = wait(&mut child, &api, begun);
        let posts = std::mem::take(&mut *api.posts.lock().unwrap());
        Outcome {
            posts,
            frames: read_frames(&std::fs::read(&frames).unwrap_or_default()),
            output: String::from_utf8_lossy(&std::fs::read(&output).unwrap()).into_owned(),
            exit_code,
            first_next,
        }
    }

    /// Outside of a sandbox nothing is mounted: the paths inside are replaced by those of this host.
    fn here(&self, text: &str) -> String {
        let mut text = text.replace("/var/task", &self.function.path().to_string_lossy());
        for mount in &self.launch.mounts {
            if mount.target != mount.sources[0] {
                let (inside, here) = (mount.target.to_string_lossy(), mount.sources[0].to_string_lossy());
                text = text.replace(&*inside, &here);
            }
        }
        text
    }

    fn spawn(&self, api: &Api, frames: &Path, output: &Path) -> Child {
        let output = std::fs::File::create(output).unwrap();
        let mut command = Command::new("/bin/sh");
        if self.framed {
            // The shell opens what a sandbox would hand over: the descriptor of the frames.
            command.args(["-c", "exec 3>>\"$FRAMES\"; unset FRAMES; exec \"$@\"", "sh"]);
        } else {
            command.args(["-c", "exec \"$@\"", "sh"]);
        }
        command
            .args(self.launch.argv.iter().map(|word| self.here(word)))
            .env_clear()
            .envs(self.variables(api))
            .current_dir(self.function.path())
            .stdin(Stdio::null())
            .stderr(output.try_clone().unwrap())
            .stdout(output);
        if self.framed {
            command.env("FRAMES", frames);
        }
        command.spawn().unwrap()
    }

    fn spawn_parked(&self, api: &Api, frames: &Path, output: &Path) -> Child {
        let told: serde_json::Map<String, Value> =
            self.variables(api).into_iter().map(|(name, value)| (name, value.into())).collect();
        let handover = frames.with_file_name("handover");
        let text = serde_json::json!({ "env": told, "cwd": self.function.path() }).to_string();
        std::fs::write(&handover, text).unwrap();
        let output = std::fs::File::create(output).unwrap();
        let script = "exec 3>>\"$FRAMES\" 4<\"$HANDOVER\"; unset FRAMES HANDOVER; exec \"$@\"";
        Command::new("/bin/sh")
            .args(["-c", script, "sh"])
            .args(self.launch.argv.iter().map(|word| self.here(word)))
            .env_clear()
            .envs(self.launch.env.iter().map(|(name, value)| (name, self.here(value))))
            .env("_LAMBENT_HANDOVER_FD", "4")
            .env("LAMBDA_RUNTIME_DIR", self.here("/var/runtime"))
            .env("LEFT_OVER", "of the boot")
            .env("FRAMES", frames)
            .env("HANDOVER", handover)
            .current_dir("/")
            .stdin(Stdio::null())
            .stderr(output.try_clone().unwrap())
            .stdout(output)
            .spawn()
            .unwrap()
    }

    fn variables(&self, api: &Api) -> Vec<(String, String)> {
        let mut variables: Vec<(String, String)> =
            self.launch.env.iter().map(|(name, value)| (name.clone(), self.here(value))).collect();
        let mut set = |name: &str, value: String| variables.push((name.to_owned(), value));
        set("AWS_LAMBDA_RUNTIME_API", api.address.to_string());
        set("LAMBDA_TASK_ROOT", self.function.path().to_string_lossy().into_owned());
        set("LAMBDA_RUNTIME_DIR", self.here("/var/runtime"));
        set("AWS_LAMBDA_FUNCTION_NAME", "f".into());
        set("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".into());
        set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".into());
        set("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f".into());
        set("AWS_LAMBDA_LOG_STREAM_NAME", "stream".into());
        set("_HANDLER", self.handler.into());
        if self.framed {
            set("_LAMBDA_TELEMETRY_LOG_FD", "3".into());
        }
        for (name, value) in self.env {
            set(name, (*value).into());
        }
        variables
    }
}

fn wait(child: &mut Child, api: &Api, begun: Instant) -> (Option<i32>, Option<Duration>) {
    let mut first_next = None;
    loop {
        match api.news.recv_timeout(TICK) {
            Ok(News::Asked) => first_next = first_next.or(Some(begun.elapsed())),
            Ok(News::Drained) => {
                let _ = child.kill();
                child.wait().unwrap();
                return (None, first_next);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => unreachable!("the API lives as long as this test"),
        }
        if let Some(status) = child.try_wait().unwrap() {
            return (Some(status.code().unwrap_or(-1)), first_next);
        }
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("the function hangs");
        }
    }
}

fn read_frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while bytes.len() >= 16 {
        let kind = u32::from_be_bytes(bytes[..4].try_into().unwrap());
        let length = u32::from_be_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let micros = u64::from_be_bytes(bytes[8..16].try_into().unwrap());
        assert!(micros > 1_600_000_000_000_000, "a frame carries the time in microseconds");
        frames.push(Frame { kind, message: String::from_utf8(bytes[16..16 + length].to_vec()).unwrap() });
        bytes = &bytes[16 + length..];
    }
    assert!(bytes.is_empty(), "the last frame is whole");
    frames
}

impl Outcome {
    /// The only thing that was posted.
    pub fn post(&self) -> &Post {
        assert_eq!(self.posts.len(), 1, "{self:#?}");
        &self.posts[0]
    }

    pub fn answer(&self) -> Value {
        let post = self.post();
        assert!(post.path.ends_with("/response"), "{self:#?}");
        post.json()
    }

    /// The type and the message of the only error.
    pub fn error(&self) -> (String, String) {
        let post = self.post();
        assert!(post.path.ends_with("/error"), "{self:#?}");
        let body = post.json();
        assert_eq!(
            body["errorType"],
            post.headers["lambda-runtime-function-error-type"].as_str(),
            "the header says the same as the body"
        );
        (body["errorType"].as_str().unwrap().into(), body["errorMessage"].as_str().unwrap().into())
    }

    pub fn messages(&self) -> Vec<&str> {
        self.frames.iter().map(|frame| frame.message.as_str()).collect()
    }
}

impl Post {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
