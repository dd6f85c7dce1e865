//! What a sandbox costs on this host: medians of preparing one, starting a program in it, and removing it; of starting
//! one in a sandbox that has waited, without and with a process that was made ahead; then of booting an interpreter ahead of need, and of making it a function's.
//!
//! Run it as root, or as the user that the node will run as: `cargo run --release --example cost [LEVEL] [ROUNDS]`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use lambent_core::function::Egress;
use lambent_core::ports::sandbox::{Assignment, Cell, Limits, Mount, Program, Sandboxes as _, Shape};
use lambent_sandbox::{Config, Driver, Isolation};
use tokio::net::unix::pipe::Receiver;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some("__sandbox-spawner") {
        lambent_sandbox::spawner_main()
    }
    let isolation = first.map_or(Isolation::Full, |text| text.parse().expect("full, namespaces or process"));
    let rounds = arguments.next().map_or(100, |text| text.parse().expect("a number of rounds"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(isolation, rounds));
}

async fn measure(isolation: Isolation, rounds: usize) {
    let run_dir = tempfile::tempdir().expect("a folder");
    let config = Config {
        instance: format!("cost{}", std::process::id()),
        isolation,
        run_dir: run_dir.path().to_owned(),
        spawner: vec!["/proc/self/exe".into(), "__sandbox-spawner".into()],
    };
    let began = Instant::now();
    let driver = Driver::start(config).await.expect("a driver");
    println!("driver start {:>9.3} ms", began.elapsed().as_secs_f64() * 1e3);
    for egress in [Egress::None, Egress::Services, Egress::Internet] {
        let mut samples: [Vec<Duration>; 4] = Default::default();
        for _ in 0..rounds {
            round(&driver, egress, &mut samples).await;
            tokio::time::sleep(PAUSE).await;
        }
        println!("egress {}", egress.as_str());
        tell(&["prepare", "start", "exit seen", "kill"], &mut samples);
    }
    measure_ahead(&driver, rounds).await;
    if isolation != Isolation::Process {
        measure_boot(&driver, rounds).await;
    }
    driver.stop().await;
}

/// Between rounds, so that what was used up is made again, as on a node that isn't busy.
const PAUSE: Duration = Duration::from_millis(30);

/// In turns, so that both find the same machine.
async fn measure_ahead(driver: &Driver, rounds: usize) {
    let mut samples: [Vec<Duration>; 2] = Default::default();
    for round in 0..2 * rounds {
        let cell = driver.prepare(Shape { egress: Egress::Services }).await.expect("a cell");
        if round % 2 == 1 {
            cell.prefork();
        }
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        let running = cell.start(small_job()).await.expect("a program");
        samples[round % 2].push(began.elapsed());
        running.environment.kill().await;
    }
    println!("a sandbox that has waited, egress services");
    tell(&["start", "preforked"], &mut samples);
}

/// An interpreter that waits, and says when it does, when it is told, and when it has seen the code.
const WAIT: &str = "import posix as o
o.write(1, b'w')
while o.read(4, 65536): pass
o.write(1, b't')
o.listdir('/var/task')
o.write(1, b'c')";

async fn measure_boot(driver: &Driver, rounds: usize) {
    let mut samples: [Vec<Duration>; 5] = Default::default();
    for _ in 0..rounds {
        let cell = driver.prepare(Shape { egress: Egress::Services }).await.expect("a cell");
        boot_round(cell, &mut samples).await;
        tokio::time::sleep(PAUSE).await;
    }
    println!("{INTERPRETER} booted ahead, egress services");
    let names = ["boot", "assign", "told", "sees code", "kill"];
    tell(&names, &mut samples);
}

const INTERPRETER: &str = "/usr/bin/python3.11";

async fn boot_round(cell: Box<dyn Cell>, samples: &mut [Vec<Duration>; 5]) {
    let argv = [INTERPRETER, "-S", "-E", "-c", WAIT].map(str::to_owned).to_vec();
    let program = Program { argv, env: Vec::new(), cwd: PathBuf::from("/") };
    let limits = Limits { memory_mb: 256, cpu_millis: 1_000, tmp_mb: 512 };
    let began = Instant::now();
    let mounts = Vec::new();
    let booted = cell.boot(Assignment { limits, mounts, program }).await.expect("a program");
    samples[0].push(began.elapsed());
    // Its output comes with the assignment: by then it has long waited.
    tokio::time::sleep(PAUSE * 2).await;
    let mount = |source: &str, target: &str| Mount { sources: vec![source.into()], target: target.into() };
    let mounts = vec![mount("/etc", "/var/task"), mount("/usr/share", "/opt")];
    let began = Instant::now();
    let running = booted.assign(limits, mounts, vec![b'.'; 2_048]).await.expect("a function");
    samples[1].push(began.elapsed());
    let output = Receiver::from_owned_fd(running.output).expect("a pipe");
    let mut text = Vec::new();
    read_until(&output, &mut text, b't').await;
    samples[2].push(began.elapsed());
    read_until(&output, &mut text, b'c').await;
    samples[3].push(began.elapsed());
    let began = Instant::now();
    running.environment.kill().await;
    samples[4].push(began.elapsed());
}

async fn read_until(output: &Receiver, text: &mut Vec<u8>, wanted: u8) {
    while !text.contains(&wanted) {
        output.readable().await.expect("a pipe");
        let mut part = [0; 64];
        match output.try_read(&mut part) {
            Ok(read) => {
                assert!(read > 0, "the program ended");
                text.extend_from_slice(&part[..read]);
            }
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "output"),
        }
    }
}

fn tell(names: &[&str], samples: &mut [Vec<Duration>]) {
    for (name, sample) in names.iter().zip(samples) {
        if sample.is_empty() {
            continue;
        }
        sample.sort_unstable();
        let at = |part: usize| sample[(sample.len() * part / 100).min(sample.len() - 1)].as_secs_f64() * 1e3;
        println!("  {name:<10} min {:>7.3} ms   p50 {:>7.3} ms   p90 {:>7.3} ms", at(0), at(50), at(90));
    }
}

async fn round(driver: &Driver, egress: Egress, samples: &mut [Vec<Duration>; 4]) {
    let mut last = Instant::now();
    let mut lap = |sample: &mut Vec<Duration>| {
        sample.push(last.elapsed());
        last = Instant::now();
    };
    let cell = driver.prepare(Shape { egress }).await.expect("a cell");
    lap(&mut samples[0]);
    let running = cell.start(small_job()).await.expect("a program");
    lap(&mut samples[1]);
    running.environment.exited().await;
    lap(&mut samples[2]);
    running.environment.kill().await;
    lap(&mut samples[3]);
}

fn small_job() -> Assignment {
    let program =
        Program { argv: vec!["/usr/bin/true".to_owned()], env: Vec::new(), cwd: PathBuf::from("/") };
    let mounts = vec![Mount { sources: vec![PathBuf::from("/etc")], target: PathBuf::from("/opt") }];
    Assignment { limits: Limits { memory_mb: 128, cpu_millis: 1_000, tmp_mb: 512 }, mounts, program }
}
