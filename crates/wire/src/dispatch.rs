//! Which service a request is for, when all of them share one port.
//!
//! What this is not: it knows no operation and doesn't say which services this node has.
//!
//! In this order: a host that only one kind of endpoint has (function URLs are signed for `lambda`, and aren't
//! its API); the credential scope; X-Amz-Target; the host's first label; the path of Lambda's API.

use std::borrow::Cow;

use http::request::Parts;

use crate::route::Target;
use crate::sigv4::Claim;

/// The name that function URLs go by here: their requests are invocations, whoever signed them.
pub const FUNCTION_URL: &str = "lambda-url";

/// X-Amz-Target's prefixes and the signing names of their services, from the public service models.
const TARGETS: [(&str, &str); 14] = [
    ("AWSEvents", "events"),
    ("AWSStepFunctions", "states"),
    ("AmazonEC2ContainerRegistry_V20150921", "ecr"),
    ("AmazonSQS", "sqs"),
    ("AmazonSSM", "ssm"),
    ("CertificateManager", "acm"),
    ("DynamoDBStreams_20120810", "dynamodb"),
    ("DynamoDB_20120810", "dynamodb"),
    ("Firehose_20150804", "firehose"),
    ("GraniteServiceVersion20100801", "monitoring"),
    ("Kinesis_20131202", "kinesis"),
    ("Logs_20140328", "logs"),
    ("TrentService", "kms"),
    ("secretsmanager", "secretsmanager"),
];

/// Host labels that aren't the signing name of their service.
const HOST_LABELS: [(&str, &str); 5] = [
    ("streams.dynamodb", "dynamodb"),
    ("api.ecr", "ecr"),
    ("email", "ses"),
    ("monitoring", "monitoring"),
    ("s3-control", "s3"),
];

/// First path segments of Lambda's API: a service model's dates, from the public model.
const LAMBDA_DATES: [&str; 16] = [
    "2014-11-13",
    "2015-03-31",
    "2016-08-19",
    "2017-03-31",
    "2017-10-31",
    "2018-10-31",
    "2019-09-25",
    "2019-09-30",
    "2020-04-22",
    "2020-06-30",
    "2021-07-20",
    "2021-10-31",
    "2021-11-15",
    "2024-08-31",
    "2025-11-30",
    "2025-12-01",
];

/// The signing name of the service that a request is for, or [`FUNCTION_URL`]; `None` when nothing tells.
///
/// `claim` need not be verified yet: its service is part of what it signs.
pub fn service<'a>(claim: Option<&'a Claim>, parts: &'a Parts) -> Option<Cow<'a, str>> {
    let host = host(parts).map(str::to_ascii_lowercase).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
    if function_url_id(host).is_some() {
        return Some(Cow::Borrowed(FUNCTION_URL));
    }
    if let Some(claim) = claim {
        return Some(Cow::Borrowed(&claim.service));
    }
    if let Ok(target) = Target::of(&parts.headers) {
        let found = TARGETS.iter().find(|(prefix, _)| *prefix == target.prefix);
        return found.map(|(_, service)| Cow::Borrowed(*service));
    }
    by_host(host).map(Cow::Owned).or_else(|| by_path(parts.uri.path()).map(Cow::Borrowed))
}

/// The id in a function URL's host: `ID.lambda-url.REGION.on.aws`, or `.localhost` and the like behind it.
pub fn function_url_id(host: &str) -> Option<&str> {
    let (id, rest) = host.split_once('.')?;
    let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (is_id && rest.starts_with("lambda-url.")).then_some(id)
}

fn by_host(host: &str) -> Option<String> {
    let labels = |suffix: &str| host.strip_suffix(suffix).map(str::to_owned);
    let name = labels(".localhost").or_else(|| {
        // SERVICE.REGION.amazonaws.com, or SERVICE.amazonaws.com of the global ones.
        let front = labels(".amazonaws.com")?;
        let is_region = |label: &str| label.contains('-') && label.ends_with(|c: char| c.is_ascii_digit());
        match front.rsplit_once('.') {
            Some((service, region)) if is_region(region) => Some(service.to_owned()),
            _ => Some(front),
        }
    })?;
    if name == "s3" || name.ends_with(".s3") {
        return Some("s3".to_owned());
    }
    let known =
        HOST_LABELS.iter().find(|(label, _)| *label == name).map(|(_, service)| (*service).to_owned());
    known.or_else(|| (!name.is_empty() && !name.contains('.')).then_some(name))
}

fn by_path(path: &str) -> Option<&'static str> {
    let first = path.strip_prefix('/')?.split('/').next()?;
    LAMBDA_DATES.contains(&first).then_some("lambda")
}

fn host(parts: &Parts) -> Option<&str> {
    let header = parts.headers.get(http::header::HOST).and_then(|value| value.to_str().ok());
    header.or_else(|| parts.uri.authority().map(|authority| authority.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str, headers: &[(&str, &str)]) -> Option<String> {
        let mut request = http::Request::builder().uri(address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let claim = crate::sigv4::parse(&parts).unwrap();
        service(claim.as_ref(), &parts).map(Cow::into_owned)
    }

    const SIGNED: (&str, &str) = (
        "authorization",
        "AWS4-HMAC-SHA256 Credential=K/20150830/r-1/sqs/aws4_request, SignedHeaders=host, Signature=0",
    );
    const DATE: (&str, &str) = ("x-amz-date", "20150830T123600Z");

    #[test]
    fn the_credential_scope_wins_over_target_and_path() {
        let target = ("x-amz-target", "Logs_20140328.PutLogEvents");
        assert_eq!(of("/2015-03-31/functions", &[SIGNED, DATE, target]).as_deref(), Some("sqs"));
        assert_eq!(of("/2015-03-31/functions", &[target]).as_deref(), Some("logs"));
        assert_eq!(of("/2015-03-31/functions", &[("host", "x:4566")]).as_deref(), Some("lambda"));
    }

    #[test]
    fn hosts_name_their_services() {
        for (host, wanted) in [
            ("lambda.us-east-1.amazonaws.com", Some("lambda")),
            ("LAMBDA.localhost:4566", Some("lambda")),
            ("sts.amazonaws.com", Some("sts")),
            ("bucket.name.s3.eu-west-1.amazonaws.com", Some("s3")),
            ("streams.dynamodb.eu-west-1.amazonaws.com", Some("dynamodb")),
            ("abc123.lambda-url.us-east-1.on.aws", Some(FUNCTION_URL)),
            ("abc123.lambda-url.us-east-1.localhost:4566", Some(FUNCTION_URL)),
            ("localhost:4566", None),
            ("127.0.0.1", None),
            ("", None),
        ] {
            assert_eq!(of("/", &[("host", host)]).as_deref(), wanted, "{host}");
        }
    }

    #[test]
    fn a_function_url_is_not_the_api_whoever_signed() {
        let host = ("host", "abc.lambda-url.r-1.on.aws");
        assert_eq!(of("/", &[SIGNED, DATE, host]).as_deref(), Some(FUNCTION_URL));
    }
}
