//! The language runtimes of this host start and work inside.

use std::path::Path;

use lambent_core::ports::sandbox::Limits;

use crate::support::{LIMITS, Lab};

const ROOM: Limits = Limits { memory_mb: 512, ..LIMITS };

async fn says(argv: &[&str], expected: &str) {
    let Some(lab) = Lab::full().await else { return };
    if !Path::new(argv[0]).exists() {
        eprintln!("NOT EXERCISED on this host: {}", argv[0]);
        return;
    }
    assert_eq!(lab.run_with(argv, ROOM, vec![]).await.text(), expected);
}

#[tokio::test]
async fn python_with_threads_processes_and_hashes() {
    let code = "
import threading, subprocess, ssl, hashlib, json, tempfile, os
thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
print(subprocess.run(['/bin/echo', 'child'], capture_output=True).stdout, len(ssl.create_default_context().get_ca_certs()) > 0)
print(os.getcwd(), tempfile.gettempdir())
";
    says(&["/usr/bin/python3", "-c", code], "b'child\\n' True\n/ /tmp").await;
}

#[tokio::test]
async fn node_with_workers_and_timers() {
    let code = "
const { Worker } = require('worker_threads');
const os = require('os');
new Worker('require(\"worker_threads\").parentPort.postMessage(6 * 7)', { eval: true })
  .on('message', (answer) => console.log(answer, os.cpus().length > 0, os.userInfo().username));
";
    says(&["/usr/bin/node", "-e", code], "42 true sbx_user1051").await;
}

#[tokio::test]
async fn java_starts() {
    let Some(lab) = Lab::full().await else { return };
    if !Path::new("/usr/bin/java").exists() {
        eprintln!("NOT EXERCISED on this host: java");
        return;
    }
    let ended = lab.run_with(&["/usr/bin/java", "-Xshare:auto", "-version"], ROOM, vec![]).await;
    assert!(ended.text().contains("version"), "{ended:?}");
}
