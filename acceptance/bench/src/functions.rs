//! Functions to measure with: made, waited for, deleted. Nothing here is inside a measured time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::Result;
use crate::client::{Client, Prepared};

pub const ROLE: &str = "arn:aws:iam::000000000000:role/bench";

/// One whole vCPU: less is held back by its share, and the share would be measured and not the node.
pub const WHOLE_VCPU_MB: u32 = 1_769;

pub const PYTHON: &str = "def handler(event, context):\n    return event\n";
pub const NODEJS: &str = "export const handler = async (event) => event;\n";

/// A function to create: what its request is made from.
pub struct Function<'a> {
    pub name: &'a str,
    pub runtime: &'a str,
    pub handler: &'a str,
    pub memory_mb: u32,
    pub zip: &'a [u8],
}

impl<'a> Function<'a> {
    pub fn python(name: &'a str, zip: &'a [u8]) -> Self {
        Self { name, runtime: "python3.11", handler: "index.handler", memory_mb: WHOLE_VCPU_MB, zip }
    }
}

/// The request that creates it.
pub fn creation(address: SocketAddr, function: &Function<'_>) -> Result<Prepared> {
    creation_with(address, function, &json!({}))
}

/// With these members besides.
pub fn creation_with(address: SocketAddr, function: &Function<'_>, more: &Value) -> Result<Prepared> {
    let mut body = json!({
        "FunctionName": function.name, "Runtime": function.runtime, "Role": ROLE, "Handler": function.handler,
        "Timeout": 60, "MemorySize": function.memory_mb,
        "Code": { "ZipFile": STANDARD.encode(function.zip) },
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    Prepared::new(address, Method::POST, "/2015-03-31/functions", body.to_string().into_bytes())
}

/// Creates, and waits until it can be called.
pub async fn create(client: &mut Client, address: SocketAddr, function: &Function<'_>) -> Result<()> {
    client.ask(&creation(address, function)?).await?;
    wait_active(client, address, function.name).await
}

/// Waits until a function (or `name?Qualifier=1`) is Active and nothing of it is under way.
pub async fn wait_active(client: &mut Client, address: SocketAddr, name: &str) -> Result<()> {
    let (name, query) = name.split_once('?').map_or((name, String::new()), |(n, q)| (n, format!("?{q}")));
    let path = format!("/2015-03-31/functions/{name}/configuration{query}");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let request = Prepared::new(address, Method::GET, &path, Vec::new())?;
        let found: Value = serde_json::from_slice(&client.ask(&request).await?.body)?;
        let updating = found["LastUpdateStatus"] == "InProgress";
        match found["State"].as_str() {
            Some("Active") if !updating => return Ok(()),
            Some("Pending" | "Active") if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(2)).await
            }
            _ => return Err(format!("{name} is not active: {found}").into()),
        }
    }
}

pub async fn delete(client: &mut Client, address: SocketAddr, name: &str) -> Result<()> {
    client.ask(&deletion(address, name)?).await.map(|_| ())
}

pub fn deletion(address: SocketAddr, name: &str) -> Result<Prepared> {
    Prepared::new(address, Method::DELETE, &format!("/2015-03-31/functions/{name}"), Vec::new())
}

/// A zip of these files. A program has to be executable, and nothing else minds.
pub fn zip(files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    use std::io::Write as _;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    for (name, content) in files {
        writer.start_file(*name, options)?;
        writer.write_all(content)?;
    }
    Ok(writer.finish()?.into_inner())
}
