//! The environment variables of a function's program. Pure.
//!
//! Source: *Defined runtime environment variables* in the developer guide. Order of precedence: what the
//! runtime needs, then the user's own, then the reserved ones, which a user can't set.

use lambent_core::function::{FunctionSpec, LogFormat};
use lambent_core::ports::SessionCredentials;
use lambent_core::runtime::Family;

use crate::runtime_api::snapshots::CREDENTIALS_PATH;

/// Where code, layers and runtime clients stand inside a sandbox.
pub const TASK_ROOT: &str = "/var/task";
pub const RUNTIME_DIR: &str = "/var/runtime";

pub struct Context<'a> {
    pub spec: &'a FunctionSpec,
    pub log_stream: &'a str,
    pub runtime_api: std::net::SocketAddr,
    pub services: Option<std::net::SocketAddr>,
    pub credentials: Source<'a>,
    pub initialization_type: &'static str,
    /// What the runtime's catalogue entry asks for.
    pub runtime: Vec<(String, String)>,
}

/// Where the program has its credentials from.
pub enum Source<'a> {
    Variables(&'a SessionCredentials),
    /// From an endpoint, for who shows the token: with SnapStart, as the reference does it, so that an SDK's client that
    /// was made before the snapshot asks anew.
    Endpoint {
        token: &'a str,
    },
}

pub fn variables(context: Context<'_>) -> Vec<(String, String)> {
    let Context { spec, log_stream, runtime_api, services, credentials, initialization_type, runtime } =
        context;
    let mut variables = Variables(Vec::with_capacity(40));
    variables.set_defaults();
    for (name, value) in runtime {
        variables.set(&name, value);
    }
    if let Some(address) = services {
        // A default and not reserved: a user who points an SDK elsewhere means it.
        variables.set("AWS_ENDPOINT_URL", format!("http://{address}"));
    }
    for (name, value) in &spec.environment {
        variables.set(name, value.as_str());
    }
    variables.set("_HANDLER", spec.handler.as_str());
    variables.set("LAMBDA_TASK_ROOT", TASK_ROOT);
    variables.set("LAMBDA_RUNTIME_DIR", RUNTIME_DIR);
    variables.set("AWS_REGION", spec.region.as_str());
    variables.set("AWS_DEFAULT_REGION", spec.region.as_str());
    // Not defined for OS-only runtimes.
    if spec.runtime.family != Family::Provided {
        variables.set("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", spec.runtime.id));
    }
    variables.set("AWS_LAMBDA_FUNCTION_NAME", spec.name.as_str());
    variables.set("AWS_LAMBDA_FUNCTION_VERSION", spec.version.to_string());
    variables.set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", spec.memory_mb.to_string());
    variables.set("AWS_LAMBDA_INITIALIZATION_TYPE", initialization_type);
    variables.set("AWS_LAMBDA_LOG_GROUP_NAME", &*spec.logging.group);
    variables.set("AWS_LAMBDA_LOG_STREAM_NAME", log_stream);
    variables.set("AWS_LAMBDA_LOG_FORMAT", spec.logging.format.as_str());
    if spec.logging.format == LogFormat::Json {
        variables.set("AWS_LAMBDA_LOG_LEVEL", spec.logging.application_level.as_str());
    }
    variables.set("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string());
    variables.set("_LAMBDA_TELEMETRY_LOG_FD", "3");
    match credentials {
        Source::Variables(credentials) => {
            variables.set("AWS_ACCESS_KEY_ID", credentials.access_key_id.as_str());
            variables.set("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.as_str());
            variables.set("AWS_SESSION_TOKEN", credentials.session_token.as_str());
        }
        Source::Endpoint { token } => {
            let uri = format!("http://{runtime_api}{CREDENTIALS_PATH}");
            variables.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri);
            variables.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", token);
        }
    }
    variables.0
}

/// What the developer guide keeps from extensions, being the runtime process's own; and what only the runtime's client
/// understands.
const NOT_FOR_EXTENSIONS: &[&str] = &[
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "_HANDLER",
    "_LAMBDA_TELEMETRY_LOG_FD",
];

/// The environment of an extension, from that of its runtime. Search paths of a language that the user did not set
/// lead to the runtime's client, which is nothing to an extension.
pub fn of_extension(runtime: &[(String, String)], user: &[(String, String)]) -> Vec<(String, String)> {
    let theirs = |name: &str| match name {
        "PYTHONPATH" | "NODE_PATH" => user.iter().any(|(set, _)| set == name),
        _ => !NOT_FOR_EXTENSIONS.contains(&name),
    };
    runtime.iter().filter(|(name, _)| theirs(name)).cloned().collect()
}

/// Variables that a program, its loader or its C library reads when it starts, and never again.
const READ_AT_START: &[&str] = &[
    "AWS_LAMBDA_EXEC_WRAPPER",
    "LANG",
    "TZ",
    "NODE_OPTIONS",
    "NODE_EXTRA_CA_CERTS",
    "NODE_ICU_DATA",
    "NODE_DEBUG",
    "NODE_DEBUG_NATIVE",
    "NODE_V8_COVERAGE",
    "NODE_COMPILE_CACHE",
    "UV_THREADPOOL_SIZE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];
const READ_AT_START_PREFIXES: &[&str] =
    &["LD_", "LC_", "MALLOC_", "GLIBC_", "OPENSSL_", "PYTHON", "JAVA_", "JDK_JAVA_", "_JAVA"];

/// Whether a runtime that booted without knowing its function can still do all that these variables ask for.
pub fn can_be_told_late(environment: &[(String, String)]) -> bool {
    environment.iter().all(|(name, _)| {
        name == "PYTHONPATH"
            || !(READ_AT_START.contains(&name.as_str())
                || READ_AT_START_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
    })
}

/// The environment in which a runtime boots before it knows its function. What it is told later replaces it.
pub fn boot_variables(runtime: Vec<(String, String)>, handover_fd: i32) -> Vec<(String, String)> {
    let mut variables = Variables(Vec::with_capacity(16));
    variables.set_defaults();
    for (name, value) in runtime {
        variables.set(&name, value);
    }
    variables.set("LAMBDA_TASK_ROOT", TASK_ROOT);
    variables.set("LAMBDA_RUNTIME_DIR", RUNTIME_DIR);
    variables.set(HANDOVER_VARIABLE, handover_fd.to_string());
    variables.0
}

/// Tells a runtime client that it is to wait, and where.
const HANDOVER_VARIABLE: &str = "_LAMBENT_HANDOVER_FD";

struct Variables(Vec<(String, String)>);

impl Variables {
    fn set_defaults(&mut self) {
        self.set("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin");
        self.set("LANG", "en_US.UTF-8");
        self.set("TZ", ":UTC");
        self.set(
            "LD_LIBRARY_PATH",
            "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
        );
        self.set("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR");
        // Nobody listens there: what is sent is lost, and senders go on, as tracing libraries do anywhere.
        self.set("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000");
        self.set("_AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1");
        self.set("_AWS_XRAY_DAEMON_PORT", "2000");
    }

    fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((name.to_owned(), value.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_see_what_is_not_the_runtimes_own() {
        let all = [
            "_HANDLER",
            "AWS_REGION",
            "AWS_ACCESS_KEY_ID",
            "COLOUR",
            "LAMBDA_TASK_ROOT",
            "PYTHONPATH",
            "PATH",
        ];
        let all: Vec<_> = all.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect();
        let names = |user: &[(String, String)]| {
            of_extension(&all, user).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["AWS_REGION", "AWS_ACCESS_KEY_ID", "COLOUR", "PATH"]);
        let user = ("PYTHONPATH".to_owned(), "1".to_owned());
        assert_eq!(names(&[user]), ["AWS_REGION", "AWS_ACCESS_KEY_ID", "COLOUR", "PYTHONPATH", "PATH"]);
    }

    #[test]
    fn only_variables_that_are_read_later_can_be_told_late() {
        let told = |name: &str| can_be_told_late(&[(name.to_owned(), "1".to_owned())]);
        for name in ["TABLE", "NODE_ENV", "PYTHONPATH", "AWS_ENDPOINT_URL"] {
            assert!(told(name), "{name}");
        }
        for name in
            ["LD_PRELOAD", "PYTHONHASHSEED", "NODE_OPTIONS", "TZ", "MALLOC_ARENA_MAX", "JDK_JAVA_OPTIONS"]
        {
            assert!(!told(name), "{name}");
        }
    }
}
