//! Amazon Resource Names: `arn:partition:service:region:account:resource`.

use std::fmt;

use crate::ids::{AccountId, FunctionName, QueueName, Region, Version};

/// An ARN, split at its first five colons. The resource part keeps its own colons and slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    pub partition: String,
    pub service: String,
    pub region: String,
    pub account: String,
    pub resource: String,
}

impl Arn {
    /// Splits the text; `None` when it is not an ARN at all. Does not judge the parts.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next()? != "arn" {
            return None;
        }
        let mut take = || parts.next().map(str::to_owned);
        let arn = Self {
            partition: take()?,
            service: take()?,
            region: take()?,
            account: take()?,
            resource: take()?,
        };
        (arn.partition.starts_with("aws") && !arn.service.is_empty() && !arn.resource.is_empty())
            .then_some(arn)
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

/// `arn:aws:lambda:REGION:ACCOUNT:function:NAME`, the function without a qualifier.
pub fn function(region: &Region, account: &AccountId, name: &FunctionName) -> String {
    format!("arn:aws:lambda:{region}:{account}:function:{name}")
}

/// The function's ARN with a version or an alias name behind it.
pub fn function_qualified(
    region: &Region,
    account: &AccountId,
    name: &FunctionName,
    qualifier: &str,
) -> String {
    format!("arn:aws:lambda:{region}:{account}:function:{name}:{qualifier}")
}

/// The function's ARN with its version behind it, as a configuration of a published version shows it.
pub fn function_version(
    region: &Region,
    account: &AccountId,
    name: &FunctionName,
    version: Version,
) -> String {
    function_qualified(region, account, name, &version.to_string())
}

/// `arn:aws:lambda:REGION:ACCOUNT:layer:NAME`.
pub fn layer(region: &Region, account: &AccountId, name: &str) -> String {
    format!("arn:aws:lambda:{region}:{account}:layer:{name}")
}

/// `arn:aws:lambda:REGION:ACCOUNT:layer:NAME:VERSION`.
pub fn layer_version(region: &Region, account: &AccountId, name: &str, version: u64) -> String {
    format!("arn:aws:lambda:{region}:{account}:layer:{name}:{version}")
}

/// `arn:aws:logs:REGION:ACCOUNT:log-group:NAME`.
pub fn log_group(region: &Region, account: &AccountId, name: &str) -> String {
    format!("arn:aws:logs:{region}:{account}:log-group:{name}")
}

/// `arn:aws:sqs:REGION:ACCOUNT:NAME`.
pub fn queue(region: &Region, account: &AccountId, name: &QueueName) -> String {
    format!("arn:aws:sqs:{region}:{account}:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_reads_back_as_it_was_written() {
        let text = "arn:aws:lambda:eu-west-1:123456789012:function:a:$LATEST";
        let arn = Arn::parse(text).unwrap();
        assert_eq!((arn.service.as_str(), arn.resource.as_str()), ("lambda", "function:a:$LATEST"));
        assert_eq!(arn.to_string(), text);
        assert!(Arn::parse("arn:aws:iam::123456789012:role/x").is_some());
    }

    #[test]
    fn other_texts_are_no_arns() {
        for bad in ["", "arn", "arn:aws", "arn:aws:lambda:r:a", "arn:aws:lambda:r:a:", "urn:aws:a:b:c:d"] {
            assert_eq!(Arn::parse(bad), None, "{bad}");
        }
    }
}
