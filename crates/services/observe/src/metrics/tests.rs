use std::sync::Arc;

use lambent_core::function::{Egress, LogFormat, LogLevel, Logging};
use lambent_core::ids::{CodeDigest, RevisionId};
use lambent_core::ports::{CapacityUse, FunctionUse, Stages};
use lambent_testkit::FalseClock;

use super::*;
use crate::otlp::Counts;

fn spec(name: &str) -> FunctionSpec {
    FunctionSpec {
        account: AccountId::new("000000000000").unwrap(),
        region: Region::new("us-east-1").unwrap(),
        name: FunctionName::new(name).unwrap(),
        version: Version::Published(1),
        revision: RevisionId::new("00000000-0000-4000-8000-000000000001").unwrap(),
        runtime: lambent_core::runtime::find("provided.al2023").unwrap(),
        handler: "h".into(),
        role_arn: "arn:aws:iam::000000000000:role/r".into(),
        code: CodeDigest::new("0".repeat(64)).unwrap(),
        layers: vec![],
        memory_mb: 128,
        timeout: Duration::from_secs(3),
        ephemeral_mb: 512,
        environment: vec![],
        egress: Egress::None,
        logging: Logging {
            group: Arc::from("/aws/lambda/f"),
            format: LogFormat::Text,
            application_level: LogLevel::Info,
            system_level: LogLevel::Info,
        },
        snap_start: false,
    }
}

fn sample(failed: bool, cold: bool, served_by: ServedBy) -> CallSample {
    let ms = Duration::from_millis;
    let stages = Stages { sandbox: ms(1), code: ms(2), runtime: ms(3), init: ms(4) };
    let cold_reason = cold.then_some(ColdReason::Burst);
    CallSample { duration: ms(10), failed, cold: cold.then_some(stages), cold_reason, served_by }
}

#[test]
fn every_number_that_the_reference_names_is_there() {
    let registry = Registry::new(Arc::new(FalseClock::default()));
    registry.call(&spec("f"), sample(false, true, ServedBy::Spillover));
    registry.call(&spec("f"), sample(true, false, ServedBy::Provisioned));
    registry.throttled(&spec("f"), ThrottleReason::ConcurrentInvocationLimitExceeded);
    if let Some(stages) = sample(false, true, ServedBy::OnDemand).cold {
        registry.started_ahead(&spec("f"), stages);
    }
    let (account, region) = (spec("f").account, spec("f").region);
    let used = FunctionUse {
        arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
        account: account.clone(),
        region: region.clone(),
        name: "f".into(),
        in_use: 3,
        in_use_unreserved: 2,
        reserved: None,
        provisioned: vec![(Version::Published(1), 4, 4, 1)],
        environments: [(Version::Latest, 5), (Version::Published(1), 4)].into(),
        throttled: None,
    };
    let places = [Place { account, region, claimed: 4 }];
    let mapping = "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:1";
    let polled = |polled| MappingSample { polled, deleted: 1, ..MappingSample::default() };
    registry.mapping(mapping, polled(3));
    registry.mapping(mapping, polled(4));
    registry.mapping("gone", polled(1));
    registry.forget_mapping("gone");
    let function = "arn:aws:lambda:us-east-1:000000000000:function:f";
    let seconds = Duration::from_secs;
    for sample in [
        EventSample::Received,
        EventSample::Called { age: seconds(3) },
        EventSample::Called { age: seconds(2) },
        EventSample::Dropped,
        EventSample::Undelivered,
        EventSample::NoLetter,
        EventSample::WentRound,
    ] {
        registry.event(function, sample);
    }
    let gone = "arn:aws:lambda:us-east-1:000000000000:function:gone";
    registry.event(gone, EventSample::Received);
    registry.forget(gone);
    let used = CapacityUse { functions: vec![used] };
    let page = text(
        &registry.sums(),
        &used,
        &places,
        7,
        Some(&Counts::default()),
        &registry.mappings(),
        &registry.events(),
    );
    let of = "{account=\"000000000000\",region=\"us-east-1\",function=\"f\"";
    let version = "{account=\"000000000000\",region=\"us-east-1\",function=\"f\",version=\"1\"";
    for line in [
        format!("lambent_invocations_total{version}}} 2"),
        format!("lambent_errors_total{version}}} 1"),
        format!("lambent_duration_seconds_sum{version}}} 0.02"),
        format!("lambent_duration_seconds_count{version}}} 2"),
        format!("lambent_cold_starts_total{version}}} 1"),
        format!("lambent_cold_start_seconds_total{version},stage=\"init\"}} 0.004"),
        format!("lambent_cold_start_seconds_total{version},stage=\"handler\"}} 0.01"),
        format!("lambent_cold_start_reasons_total{version},reason=\"burst\"}} 1"),
        format!("lambent_cold_start_seconds_bucket{version},le=\"0.005\"}} 0"),
        format!("lambent_cold_start_seconds_bucket{version},le=\"0.01\"}} 1"),
        format!("lambent_cold_start_seconds_bucket{version},le=\"+Inf\"}} 1"),
        format!("lambent_cold_start_seconds_sum{version}}} 0.01"),
        format!("lambent_cold_start_seconds_count{version}}} 1"),
        format!("lambent_environments_ahead_total{version}}} 1"),
        format!("lambent_environment_ahead_seconds_total{version},stage=\"code\"}} 0.002"),
        "lambent_trace_hops_left_out_total 7".into(),
        "lambent_otlp_sent_total 0".into(),
        "lambent_otlp_left_out_total 0".into(),
        format!("lambent_event_source_mapping_polled_events_total{{mapping=\"{mapping}\"}} 7"),
        format!("lambent_event_source_mapping_deleted_events_total{{mapping=\"{mapping}\"}} 2"),
        format!("lambent_event_source_mapping_filtered_out_events_total{{mapping=\"{mapping}\"}} 0"),
        format!("lambent_async_events_received_total{of}}} 1"),
        format!("lambent_async_event_attempts_total{of}}} 2"),
        format!("lambent_async_event_age_seconds_total{of}}} 5"),
        format!("lambent_async_event_age_seconds_max{of}}} 3"),
        format!("lambent_async_events_dropped_total{of}}} 1"),
        format!("lambent_destination_delivery_failures_total{of}}} 1"),
        format!("lambent_dead_letter_errors_total{of}}} 1"),
        format!("lambent_recursive_invocations_dropped_total{of}}} 1"),
        format!("lambent_throttles_total{version},reason=\"ConcurrentInvocationLimitExceeded\"}} 1"),
        format!("lambent_provisioned_concurrency_invocations_total{version}}} 1"),
        format!("lambent_provisioned_concurrency_spillover_invocations_total{version}}} 1"),
        format!("lambent_provisioned_concurrency_utilization{version}}} 0.25"),
        format!("lambent_environments{version}}} 4"),
        format!("lambent_environments{of},version=\"$LATEST\"}} 5"),
        "lambent_concurrent_executions{account=\"000000000000\",region=\"us-east-1\",function=\"f\"} 3"
            .into(),
        "lambent_unreserved_concurrent_executions{account=\"000000000000\",region=\"us-east-1\"} 2".into(),
        "lambent_claimed_account_concurrency{account=\"000000000000\",region=\"us-east-1\"} 6".into(),
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    let heads = page.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert!(!page.contains("gone"));
    assert_eq!(heads, 34, "{page}");
}

#[test]
fn the_last_hour_of_all_versions_is_summed_by_function() {
    let clock = Arc::new(FalseClock::default());
    let registry = Registry::new(clock.clone());
    let latest = FunctionSpec { version: Version::Latest, ..spec("f") };
    registry.call(&spec("f"), sample(false, true, ServedBy::OnDemand));
    registry.call(&latest, sample(false, false, ServedBy::OnDemand));
    registry.throttled(&spec("g"), ThrottleReason::ConcurrentInvocationLimitExceeded);
    let hour = |registry: &Registry| registry.last_hour(&spec("f").account, &spec("f").region);
    let found = hour(&registry);
    assert_eq!(
        found[&spec("f").name],
        LastHour { calls: 2, cold: 1, reasons: [0, 0, 0, 0, 1], throttles: 0 }
    );
    assert_eq!(found[&spec("g").name], LastHour { throttles: 1, ..LastHour::default() });
    clock.advance(Duration::from_secs(3_700));
    assert_eq!(hour(&registry), HashMap::new());
}

#[test]
fn a_function_that_was_deleted_is_forgotten_with_all_its_versions_and_no_other_is() {
    let registry = Registry::new(Arc::new(FalseClock::default()));
    let latest = FunctionSpec { version: Version::Latest, ..spec("f") };
    let elsewhere = FunctionSpec { region: Region::new("eu-west-1").unwrap(), ..spec("f") };
    for one in [&spec("f"), &latest, &elsewhere, &spec("ff")] {
        registry.call(one, sample(false, true, ServedBy::OnDemand));
    }
    registry.forget(&spec("f").arn());
    let left: Vec<_> = registry.sums().into_iter().map(|(counted, _)| counted.to_owned()).collect();
    let left: Vec<_> = left.iter().map(|c| (c.region.as_str(), c.name.as_str())).collect();
    assert_eq!(left, [("eu-west-1", "f"), ("us-east-1", "ff")]);
}
