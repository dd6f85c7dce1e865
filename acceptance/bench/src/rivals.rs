//! The same work elsewhere: AWS's runtime interface emulator with AWS's Python client, and serverless-offline. Neither
//! isolates anything; the column of floors holds what this node took in the same run, taking turns.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http::Method;

use crate::client::{Client, Prepared};
use crate::functions::{Function, NODEJS, PYTHON, WHOLE_VCPU_MB, create, delete, zip};
use crate::node::Node;
use crate::table::{Goal, Row, Table, median};
use crate::{Bench, Result};

const ROUNDS_MAX: usize = 20;
const WARM_CALLS: usize = 200;
const READY_WITHIN: Duration = Duration::from_secs(60);

pub async fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let Some(folder) = &bench.rivals else {
        table.skip("other platforms", "no --rivals FOLDER was given");
        return Ok(());
    };
    let ours = Ours::start(bench).await?;
    if folder.join("rie").exists() && folder.join("py/awslambdaric").exists() {
        emulator(bench, &ours, folder, table).await?;
    } else {
        table.skip("aws-lambda-rie + awslambdaric", "they could not be installed");
    }
    if folder.join("node_modules/serverless-offline").exists() {
        offline(bench, &ours, folder, table).await?;
    } else {
        table.skip("serverless-offline", "it could not be installed");
    }
    ours.node.stop()
}

/// A process that ends with this value, with all that it started.
struct Rival(Child);

impl Rival {
    fn start(command: &mut Command) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(quiet.process_group(0).spawn()?))
    }

    /// Waits until it listens.
    async fn listens(&mut self, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while Client::connect(address).await.is_err() {
            if let Some(status) = self.0.try_wait()? {
                return Err(format!("it ended with {status}").into());
            }
            if Instant::now() > deadline {
                return Err("it does not listen".into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).status();
        let _ = self.0.wait();
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn call(address: SocketAddr, name: &str) -> Result<Prepared> {
    let path = format!("/2015-03-31/functions/{name}/invocations");
    Prepared::new(address, Method::POST, &path, b"{\"text\":\"hello\"}".to_vec())
}

async fn warm(client: &mut Client, request: &Prepared) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..WARM_CALLS {
        times.push(client.ask(request).await?.millis());
    }
    Ok(median(&mut times))
}

/// This node, doing the same.
struct Ours {
    node: Node,
}

impl Ours {
    async fn start(bench: &Bench) -> Result<Self> {
        Ok(Self { node: Node::fresh(&bench.binary, &[])? })
    }

    async fn first(&self, runtime: &str, round: usize) -> Result<f64> {
        let (address, name) = (self.node.address, format!("first-{round}"));
        let mut client = Client::connect(address).await?;
        self.make(&mut client, &name, runtime).await?;
        self.node.quiet().await?;
        let took = client.ask(&call(address, &name)?).await?.cold()?.millis();
        delete(&mut client, address, &name).await?;
        Ok(took)
    }

    async fn warm(&self, runtime: &str) -> Result<f64> {
        let mut client = Client::connect(self.node.address).await?;
        self.make(&mut client, "warm", runtime).await?;
        let request = call(self.node.address, "warm")?;
        client.ask(&request).await?;
        let took = warm(&mut client, &request).await?;
        delete(&mut client, self.node.address, "warm").await?;
        Ok(took)
    }

    async fn make(&self, client: &mut Client, name: &str, runtime: &str) -> Result<()> {
        let python = runtime.starts_with("python");
        let (file, source) = if python { ("index.py", PYTHON) } else { ("index.mjs", NODEJS) };
        let package = zip(&[(file, source.as_bytes())])?;
        let handler = "index.handler";
        let function = Function { name, runtime, handler, memory_mb: WHOLE_VCPU_MB, zip: &package };
        create(client, self.node.address, &function).await
    }
}

/// A new emulator for each first call: it serves one function.
async fn emulator(bench: &Bench, ours: &Ours, folder: &Path, table: &mut Table) -> Result<()> {
    const NAME: &str = "rie + awslambdaric, Python";
    let code = tempfile::tempdir()?;
    std::fs::write(code.path().join("index.py"), PYTHON)?;
    let python = crate::languages::served(&bench.binary)?;
    let python = python.into_iter().find(|(runtime, _)| runtime == "python3.11").map(|(_, program)| program);
    let python = python.unwrap_or_else(|| PathBuf::from("/usr/bin/python3"));
    let (mut first, mut first_ours) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds.min(ROUNDS_MAX) + 1 {
        let (address, api) = (free_address()?, free_address()?);
        let mut rival = Rival::start(
            Command::new(folder.join("rie"))
                .args(["--runtime-interface-emulator-address", &address.to_string()])
                .args(["--runtime-api-address", &api.to_string(), "--log-level", "error"])
                .arg(&python)
                .args(["-m", "awslambdaric", "index.handler"])
                .env("PYTHONPATH", folder.join("py"))
                .env("LAMBDA_TASK_ROOT", code.path())
                .current_dir(code.path()),
        )?;
        rival.listens(address).await.map_err(|error| format!("{NAME}: {error}"))?;
        let mut client = Client::connect(address).await?;
        let request = call(address, "function")?;
        let took = client.ask(&request).await?.millis();
        if round == 0 {
            let warm_ours = ours.warm("python3.11").await?;
            let took = warm(&mut client, &request).await?;
            table.add(Row::new(&format!("{NAME}: warm call"), "ms", took, Goal::None).over(warm_ours));
            continue;
        }
        drop(rival);
        first.push(took);
        first_ours.push(ours.first("python3.11", round).await?);
    }
    let row = Row::new(&format!("{NAME}: first call"), "ms", median(&mut first), Goal::None);
    table.add(row.over(median(&mut first_ours)));
    Ok(())
}

/// One process for many functions.
async fn offline(bench: &Bench, ours: &Ours, folder: &Path, table: &mut Table) -> Result<()> {
    let rounds = bench.rounds.min(ROUNDS_MAX) + 1;
    for (name, runtime, file, source) in [
        ("serverless-offline, Node.js", "nodejs20.x", "index.mjs", NODEJS),
        ("serverless-offline, Python", "python3.11", "index.py", PYTHON),
    ] {
        let project = tempfile::tempdir()?;
        std::fs::write(project.path().join(file), source)?;
        std::fs::write(project.path().join("serverless.yml"), service(runtime, rounds))?;
        std::os::unix::fs::symlink(folder.join("node_modules"), project.path().join("node_modules"))?;
        let (http, lambda) = (free_address()?, free_address()?);
        let mut rival = Rival::start(
            Command::new(folder.join("node_modules/.bin/serverless"))
                .args(["offline", "--httpPort", &http.port().to_string()])
                .args(["--lambdaPort", &lambda.port().to_string(), "--host", "127.0.0.1"])
                .env("SLS_TELEMETRY_DISABLED", "1")
                .env("SLS_NOTIFICATIONS_MODE", "off")
                .current_dir(project.path()),
        )?;
        if let Err(error) = rival.listens(lambda).await {
            table.skip(name, &error.to_string());
            continue;
        }
        let (mut first, mut first_ours) = (Vec::new(), Vec::new());
        let mut client = Client::connect(lambda).await?;
        for round in 0..rounds {
            let took = client.ask(&call(lambda, &format!("bench-dev-hello{round}"))?).await?.millis();
            if round > 0 {
                first.push(took);
                first_ours.push(ours.first(runtime, round).await?);
            }
        }
        let row = Row::new(&format!("{name}: first call"), "ms", median(&mut first), Goal::None);
        table.add(row.over(median(&mut first_ours)));
        let took = warm(&mut client, &call(lambda, "bench-dev-hello0")?).await?;
        let row = Row::new(&format!("{name}: warm call"), "ms", took, Goal::None);
        table.add(row.over(ours.warm(runtime).await?));
    }
    Ok(())
}

fn service(runtime: &str, functions: usize) -> String {
    let head = format!(
        "service: bench\nframeworkVersion: '3'\nprovider:\n  name: aws\n  runtime: {runtime}\n\
         plugins:\n  - serverless-offline\nfunctions:\n"
    );
    let each = (0..functions).map(|number| format!("  hello{number}:\n    handler: index.handler\n"));
    each.fold(head, |all, one| all + &one)
}
