//! `lambent up`: checks what was asked for, and hands over to the node.

use std::process::ExitCode;

use lambent_execution::runtimes::parse_alias;

use super::args::{ClockKind, Global, Up};
use super::catalogue::known;
use super::failure::Failure;
use crate::node;

pub fn run(global: &Global, up: Up) -> Result<ExitCode, Failure> {
    Ok(node::run(options(global, up)?))
}

fn options(global: &Global, up: Up) -> Result<node::Options, Failure> {
    if !up.listen.is_loopback() && !up.no_test_credentials {
        return Err(Failure::usage(format!(
            "{} can be reached from other machines, and the credentials test/test are known to everybody",
            up.listen
        ))
        .hint("add --no-test-credentials; `lambent env` then prints the node's own key"));
    }
    let for_tests = up.clock == ClockKind::Virtual || up.faults;
    if for_tests && !up.listen.is_loopback() {
        return Err(Failure::usage(format!(
            "{} can be reached from other machines, and --clock virtual and --faults are for tests on this one",
            up.listen
        )));
    }
    for (name, by) in &up.runtime_alias {
        known(name)?;
        known(by)?;
        parse_alias(&format!("{name}={by}")).map_err(|error| Failure::usage(error.to_string()))?;
    }
    Ok(node::Options {
        data: super::client::data_dir(global),
        listen: up.listen,
        port: up.port,
        account: up.account,
        isolation: up.isolation,
        runtime_aliases: up.runtime_alias,
        url_domain: up.url_domain,
        tls: up.tls_cert.zip(up.tls_key),
        allow_test_credentials: !up.no_test_credentials,
        account_concurrency: up.account_concurrency,
        aws_request_rate: up.aws_request_rate,
        parked_memory_bytes: up.parked_memory.of(node::memory_bytes()),
        zygotes: !up.no_zygotes,
        trace_payload_bytes: usize::from(up.trace_payloads),
        otlp: up.otlp_endpoint.map(|endpoint| (endpoint, up.otlp_header)),
        keep_alive: up.keep_alive.policy(),
        memory_reserve_bytes: up.memory_reserve.of(node::memory_bytes()),
        virtual_clock: up.clock == ClockKind::Virtual,
        faults: up.faults,
        json: global.json,
        log_filter: up.log.or_else(|| std::env::var("LAMBENT_LOG").ok().filter(|filter| !filter.is_empty())),
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;

    use super::super::args::{Args, Command};
    use super::*;

    fn parsed(words: &[&str]) -> Result<node::Options, Failure> {
        let args = Args::try_parse_from(["lambent", "up"].iter().chain(words)).unwrap();
        let Command::Up(up) = args.command else { panic!("not up") };
        options(&args.global, up)
    }

    #[test]
    fn a_listener_that_others_reach_needs_test_credentials_off() {
        assert!(parsed(&["--listen", "0.0.0.0"]).unwrap_err().hints[0].contains("--no-test-credentials"));
        assert!(!parsed(&["--listen", "0.0.0.0", "--no-test-credentials"]).unwrap().allow_test_credentials);
        assert!(parsed(&[]).unwrap().allow_test_credentials);
    }

    #[test]
    fn what_is_for_tests_is_for_loopback() {
        assert!(parsed(&["--clock", "virtual"]).unwrap().virtual_clock);
        assert!(parsed(&["--faults"]).unwrap().faults);
        let default = parsed(&[]).unwrap();
        assert!(!default.virtual_clock && !default.faults);
        let open = ["--listen", "0.0.0.0", "--no-test-credentials"];
        for words in [&["--clock", "virtual"][..], &["--faults"]] {
            assert!(parsed(&[&open, words].concat()).unwrap_err().message.contains("for tests"));
        }
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let options = parsed(&[]).unwrap();
        assert_eq!((options.listen.to_string().as_str(), options.port), ("127.0.0.1", 4566));
        assert_eq!((options.data, options.account.as_str()), (PathBuf::from(".lambent"), "000000000000"));
        assert_eq!(options.account_concurrency, 1_000);
        assert_eq!(options.url_domain, node::UrlDomain::parse("localhost").unwrap());
    }

    #[test]
    fn an_alias_names_runtimes_that_exist() {
        let options = parsed(&["--runtime-alias", "python3.12=python3.11"]).unwrap();
        assert_eq!(options.runtime_aliases, [("python3.12".to_owned(), "python3.11".to_owned())]);
        let failure = parsed(&["--runtime-alias", "python3.12=pyhton3.11"]).unwrap_err();
        assert!(failure.hints[0].contains("python3.11"), "{failure:?}");
    }

    #[test]
    fn a_certificate_needs_its_key_and_an_account_twelve_digits() {
        for bad in [["--tls-cert", "a"], ["--tls-key", "a"], ["--account", "12"], ["--isolation", "some"]] {
            assert!(Args::try_parse_from(["lambent", "up"].iter().chain(&bad)).is_err(), "{bad:?}");
        }
    }
}
