//! What can be typed: commands and flags as data. Help, usage errors and completions are all made from here.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use super::collector;
use super::keep_alive::{self, KeepAlive};
use super::memory::{self, Memory};
use crate::node::UrlDomain;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the function answered with an error
  2  wrong usage
  3  the node can't be reached
  4  the node refused or failed
  5  something on this machine failed: a build, a file, a missing tool";

/// Run AWS Lambda functions on your own machine.
#[derive(Debug, Parser)]
#[command(name = "lambent", version, after_help = EXIT_CODES, max_term_width = 100)]
#[command(disable_help_subcommand = true, subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The node to talk to [default: $LAMBENT_ENDPOINT, $AWS_ENDPOINT_URL, http://127.0.0.1:4566]
    #[arg(long, global = true, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The region to work in [default: $AWS_REGION, $AWS_DEFAULT_REGION, us-east-1]
    #[arg(long, global = true, value_name = "NAME")]
    pub region: Option<String>,
    /// The node's data directory, where its root key is [default: ./.lambent]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Certificates to trust for an https endpoint, as a PEM file [default: the system's]
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no colours; so does $NO_COLOR
    #[arg(long, global = true)]
    pub no_color: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a node
    Up(Up),
    /// Build a project and put it on the node
    Deploy(Deploy),
    /// Call a function
    Invoke(Invoke),
    /// Show a function's log
    Logs(Logs),
    /// List functions
    Ls,
    /// Show who uses the node's capacity, and who was throttled
    Top(Top),
    /// Show what happened to a call or an event, or to a function's last calls
    Trace(Trace),
    /// Send a call or an event again, with the payload that was kept of it
    Replay(Replay),
    /// Delete functions
    Rm(Rm),
    /// Show and advance the time of a node that was started for tests
    Clock(Clock),
    /// Have targets fail, be throttled or be slow, on a node that was started for tests
    Fault(Fault),
    /// Print the settings that point AWS tools at the node
    Env(Env),
    /// Say what this machine can do, and what is missing
    Doctor,
    /// See and change the language runtimes of a data directory
    Runtimes(Runtimes),
    /// Print a completion script
    Completions(Completions),
}

#[derive(Debug, ClapArgs)]
pub struct Up {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub listen: IpAddr,
    /// The port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 4566)]
    pub port: u16,
    /// The account that functions belong to: 12 digits
    #[arg(long, value_name = "ID", default_value = "000000000000", value_parser = account)]
    pub account: String,
    /// How functions are isolated. `namespaces` limits neither memory nor CPU; `process` lets functions do all
    /// that the node's user may do
    #[arg(long, value_name = "LEVEL", default_value = "full", value_parser = ["full", "namespaces", "process"])]
    pub isolation: String,
    /// Serve a runtime by another version, e.g. python3.12=python3.11; can be repeated
    #[arg(long, value_name = "NAME=NAME", value_parser = pair)]
    pub runtime_alias: Vec<(String, String)>,
    /// The domain of function URLs, if it is not localhost; with a scheme and a port where a proxy stands before
    /// the node
    #[arg(long, value_name = "[SCHEME://]DOMAIN[:PORT]", default_value = "localhost", value_parser = UrlDomain::parse)]
    pub url_domain: UrlDomain,
    /// Certificate chain for https, as a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key for https, as a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Refuse the credentials test/test. Needed to listen on an address that others can reach
    #[arg(long)]
    pub no_test_credentials: bool,
    /// Concurrent executions of the whole account
    #[arg(long, value_name = "COUNT", default_value_t = lambent_core::limits::ACCOUNT_CONCURRENCY_DEFAULT)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub account_concurrency: u32,
    /// Throttle the account at ten calls a second for each unit of its concurrency, as AWS does
    #[arg(long)]
    pub aws_request_rate: bool,
    /// Memory for sandboxes that wait for a function, ready to run: a size (512MiB), a share of the machine's
    /// memory (5%), or 0 for none
    #[arg(long, value_name = "SIZE", default_value = "5%", value_parser = memory::parse)]
    pub parked_memory: Memory,
    /// Start each Python by itself. Else it is a copy of one that has booted, which is faster and takes less memory;
    /// copies have their memory's layout and their hash seed in common
    #[arg(long)]
    pub no_zygotes: bool,
    /// Keep so many bytes of each payload with the trace of its call, for `lambent trace`
    #[arg(long, value_name = "BYTES", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=4096))]
    pub trace_payloads: u16,
    /// Send what happens to calls and events to this collector, as spans: OTLP over HTTP, as JSON, below /v1/traces
    /// unless the address has a path
    #[arg(long, value_name = "URL", value_parser = collector::endpoint)]
    pub otlp_endpoint: Option<String>,
    /// A header for the collector, such as a key; can be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "otlp_endpoint", value_parser = collector::header)]
    pub otlp_header: Vec<(String, String)>,
    /// How long an environment waits for its next call: `adaptive` learns it from the calls of each function, and
    /// makes one ahead of calls that come regularly; or a number and s, m or h, up to 6h; 0s keeps none
    #[arg(long, value_name = "POLICY", default_value = "adaptive", value_parser = keep_alive::parse)]
    pub keep_alive: KeepAlive,
    /// Memory of the machine that stays free as long as there is something to give up that nobody uses: a size, a
    /// share of the machine's, or 0 for none
    #[arg(long, value_name = "SIZE", default_value = "5%", value_parser = memory::parse)]
    pub memory_reserve: Memory,
    /// Whose time the node goes by. `virtual` is for tests: `lambent clock` advances it. On loopback only
    #[arg(long, value_enum, value_name = "CLOCK", default_value_t = ClockKind::System)]
    pub clock: ClockKind,
    /// Let tests have targets fail with `lambent fault`. On loopback only
    #[arg(long)]
    pub faults: bool,
    /// What the node logs, e.g. `debug` or `lambent_execution=trace` [default: $LAMBENT_LOG, warn]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClockKind {
    System,
    Virtual,
}

#[derive(Debug, ClapArgs)]
pub struct Deploy {
    /// The project's directory, or a .zip file
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// The function's name [default: the directory's]
    #[arg(long)]
    pub name: Option<String>,
    /// The runtime [default: the function's own, else the newest of the language that the node has]
    #[arg(long, value_name = "ID")]
    pub runtime: Option<String>,
    /// The handler [default: found in the sources]
    #[arg(long)]
    pub handler: Option<String>,
    /// Memory in MB
    #[arg(long, value_name = "MB")]
    pub memory: Option<u32>,
    /// Longest run in seconds
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u32>,
    /// An environment variable; can be repeated. The ones given replace the ones that the function had
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub env: Vec<(String, String)>,
    /// A layer version; can be repeated, and later ones hide earlier ones
    #[arg(long, value_name = "ARN")]
    pub layer: Vec<String>,
    /// The role that the function takes on
    #[arg(long, value_name = "ARN")]
    pub role: Option<String>,
    /// Where the function may connect to
    #[arg(long, value_name = "POLICY", value_parser = ["none", "services", "internet"])]
    pub egress: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Invoke {
    /// The function's name or ARN
    pub name: String,
    /// The event: JSON, @FILE, or - for standard input
    #[arg(long, short, value_name = "JSON", default_value = "{}", allow_hyphen_values = true)]
    pub payload: String,
    /// A version or an alias
    #[arg(long, short, value_name = "NAME")]
    pub qualifier: Option<String>,
    /// Show the end of the call's log
    #[arg(long, short)]
    pub tail: bool,
    /// JSON that the function finds in its context
    #[arg(long, value_name = "JSON")]
    pub client_context: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Logs {
    /// The function's name
    pub name: String,
    /// Wait for new lines until interrupted
    #[arg(long, short)]
    pub follow: bool,
    /// How far to look back: a number and s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = super::logs::duration)]
    pub since: std::time::Duration,
    /// Only lines that match this CloudWatch Logs filter pattern
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub filter: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Top {
    /// Show it once instead of until interrupted; so does --json, and an output that is no terminal
    #[arg(long)]
    pub once: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Trace {
    /// The id of a call, an event or an X-Ray trace, or a function's name
    #[arg(value_name = "ID|FUNCTION")]
    pub of: String,
    /// How many of a function's calls to show
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub last: u16,
}

#[derive(Debug, ClapArgs)]
pub struct Replay {
    /// The id of the call or the event
    #[arg(value_name = "ID")]
    pub id: String,
    /// Another function, version or alias to send it to: NAME, NAME:QUALIFIER or an ARN
    #[arg(long, value_name = "FUNCTION")]
    pub to: Option<String>,
    /// Call the function at once, once, and show its answer; without it the call is asynchronous, with retries and
    /// destinations
    #[arg(long)]
    pub wait: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Rm {
    /// The functions' names
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Don't ask
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, ClapArgs)]
#[command(disable_help_subcommand = true)]
pub struct Clock {
    #[command(subcommand)]
    pub command: Option<ClockCommand>,
}

#[derive(Debug, Subcommand)]
pub enum ClockCommand {
    /// Show the time
    Show,
    /// Let time pass: everything that is due meanwhile happens, one after the other, each at its time
    Advance {
        /// A number and s, m, h or d, such as 6h; 366d at the most
        #[arg(value_name = "TIME", value_parser = super::clock::time)]
        by: std::time::Duration,
    },
}

#[derive(Debug, ClapArgs)]
#[command(disable_help_subcommand = true)]
pub struct Fault {
    #[command(subcommand)]
    pub command: FaultCommand,
}

#[derive(Debug, Subcommand)]
pub enum FaultCommand {
    /// Add a rule for calls of a function, or for messages that the node sends to a queue
    Add(FaultAdd),
    /// List the rules
    Ls,
    /// Remove rules
    Rm {
        /// The rules' numbers
        #[arg(required = true, value_name = "ID")]
        ids: Vec<u64>,
    },
}

#[derive(Debug, ClapArgs)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["error", "throttle", "slow", "drop_answer"])))]
pub struct FaultAdd {
    /// A function, with or without a version or an alias, or a queue
    #[arg(long, value_name = "ARN")]
    pub target: String,
    /// A function answers with an error of its own; a queue can't take the message
    #[arg(long)]
    pub error: bool,
    /// It has no capacity left
    #[arg(long)]
    pub throttle: bool,
    /// It begins so much later: a number and s or m, 15m at the most
    #[arg(long, value_name = "TIME", value_parser = super::logs::duration)]
    pub slow: Option<std::time::Duration>,
    /// It does its work, and its answer is lost
    #[arg(long)]
    pub drop_answer: bool,
    /// How often the rule applies [default: until it is removed]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub times: Option<u32>,
}

#[derive(Debug, ClapArgs)]
pub struct Env {
    /// The shell to write for
    #[arg(long, value_enum, default_value_t = EnvShell::Bash)]
    pub shell: EnvShell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EnvShell {
    /// Also for sh and zsh
    Bash,
    Fish,
    Powershell,
}

#[derive(Debug, ClapArgs)]
pub struct Completions {
    /// The shell to write for
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, ClapArgs)]
#[command(disable_help_subcommand = true)]
pub struct Runtimes {
    #[command(subcommand)]
    pub command: Option<RuntimesCommand>,
}

#[derive(Debug, Subcommand)]
pub enum RuntimesCommand {
    /// List the runtimes, and where each comes from
    List,
    /// Add a runtime from a bundle
    Add {
        /// The runtime's identifier, such as python3.12
        id: String,
        /// A directory, an archive, or URL#SHA256
        #[arg(long, value_name = "DIR|ARCHIVE|URL#SHA256")]
        from: String,
    },
    /// Remove a runtime that was added
    Remove {
        /// The runtime's identifier
        id: String,
    },
    /// Fetch the AWS SDKs that functions may import without packaging them
    Prepare {
        /// The runtime's identifier [default: all that are here]
        id: Option<String>,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn account(text: &str) -> Result<String, String> {
    lambent_core::AccountId::new(text).map(String::from).map_err(|_| "an account is 12 digits".to_owned())
}
