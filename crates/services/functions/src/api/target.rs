//! Which function a request means: a name in any of its forms, and a qualifier from two places.
//!
//! The forms are `name`, `name:qualifier`, `account:function:name[:qualifier]` and the whole ARN. A name of
//! another account or region is refused here, so that no operation can forget it.

use lambent_core::arn;
use lambent_core::ids::{AccountId, FunctionName, Region};
use lambent_core::limits::FUNCTION_NAME_CHARS_MAX;
use lambent_store::functions::FunctionKey;

use super::Call;
use super::check::{Check, pattern_constraint};
use super::rules;
use crate::error::{Error, ShownValue};

/// API, NamespacedFunctionName: what reading operations take.
const NAME_CHARS_MAX: usize = 256;
/// API, FunctionName: what changing operations take.
const NAME_CHARS_MAX_CHANGING: usize = 140;

const NAME_PATTERN: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?";
const NAME_PATTERN_CHANGING: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?";

/// A function, and perhaps one of its versions or aliases.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub key: FunctionKey,
    pub qualifier: Option<String>,
}

impl Target {
    pub fn arn(&self) -> String {
        arn::function(&self.key.region, &self.key.account, &self.key.name)
    }

    /// The ARN as the caller meant it, with the qualifier when there was one.
    pub fn qualified_arn(&self) -> String {
        let FunctionKey { account, region, name } = &self.key;
        match &self.qualifier {
            Some(qualifier) => arn::function_qualified(region, account, name, qualifier),
            None => self.arn(),
        }
    }
}

/// The pieces of a name as written.
#[derive(Debug, PartialEq)]
struct Written<'a> {
    region: Option<&'a str>,
    account: Option<&'a str>,
    name: &'a str,
    qualifier: Option<&'a str>,
}

/// Reads the label `FunctionName` and, where the operation has it, the query member `Qualifier`.
pub fn read(call: &Call<'_>) -> Result<Target, Error> {
    let target = read_from_anyone(call)?;
    own_account_only(call, &target)?;
    Ok(target)
}

/// As [`read`], but the function may belong to another account: the operation judges the caller.
pub fn read_from_anyone(call: &Call<'_>) -> Result<Target, Error> {
    read_named(call, call.label("FunctionName"), call.request.query_value("Qualifier"))
}

/// Reads a function's name for an operation that has no qualifier: one that comes with the name is refused,
/// but for `$LATEST`, which means the same.
pub fn read_unqualified(call: &Call<'_>) -> Result<Target, Error> {
    let text = call.label("FunctionName");
    let mut check = Check::default();
    check_name(&mut check, text, NAME_CHARS_MAX_CHANGING, NAME_PATTERN_CHANGING);
    check.finish()?;
    let mut target = read_named(call, text, None)?;
    own_account_only(call, &target)?;
    match target.qualifier.take().as_deref() {
        None | Some("$LATEST") => Ok(target),
        Some(_) => Err(Error::QualifierNotAllowed),
    }
}

/// The name under which a function is to be created, with its constraints put into `check`.
pub fn check_new_name(check: &mut Check, text: &str) {
    let is_bare = !text.contains(':');
    let max = if is_bare { FUNCTION_NAME_CHARS_MAX } else { NAME_CHARS_MAX_CHANGING };
    check_name(check, text, max, NAME_PATTERN_CHANGING);
}

/// The key of a function to be created; `text` passed [`check_new_name`].
pub fn read_new(call: &Call<'_>, text: &str) -> Result<FunctionKey, Error> {
    let target = read_named(call, text, None)?;
    own_account_only(call, &target)?;
    match target.qualifier {
        None => Ok(target.key),
        Some(_) => Err(Error::QualifierNotAllowed),
    }
}

/// The constraints of a name that only filters.
pub fn check_read_name(check: &mut Check, text: &str) {
    check_name(check, text, NAME_CHARS_MAX, NAME_PATTERN);
}

fn check_name(check: &mut Check, text: &str, max: usize, pattern: &'static str) {
    let shown = || ShownValue::Text(text.to_owned());
    if text.chars().count() > max {
        check.violate(
            "functionName",
            shown(),
            format!("Member must have length less than or equal to {max}"),
        );
    }
    // What changing operations take has no dots in its name.
    let fits = |written: Written<'_>| pattern == NAME_PATTERN || !written.name.contains('.');
    if !split(text).is_some_and(fits) {
        check.violate("functionName", shown(), pattern_constraint(pattern));
    }
}

pub fn read_named(call: &Call<'_>, text: &str, qualifier: Option<&str>) -> Result<Target, Error> {
    let mut check = Check::default();
    check_name(&mut check, text, NAME_CHARS_MAX, NAME_PATTERN);
    if let Some(qualifier) = qualifier {
        check.text("qualifier", qualifier, &rules::QUALIFIER);
    }
    check.finish()?;
    let Some(written) = split(text) else {
        return Err(Error::violation("functionName", text, pattern_constraint(NAME_PATTERN)));
    };

    let caller = &call.request.caller;
    let region = match written.region {
        Some(region) if region != caller.region.as_str() => {
            return Err(Error::OtherRegion { asked: region.to_owned(), here: caller.region.to_string() });
        }
        _ => caller.region.clone(),
    };
    let account = match written.account.map(AccountId::new) {
        None => caller.account.clone(),
        Some(Ok(account)) => account,
        Some(Err(_)) => return Err(Error::violation("functionName", text, pattern_constraint(NAME_PATTERN))),
    };
    let qualifier = match (written.qualifier, qualifier) {
        (Some(inner), Some(outer)) if inner != outer => return Err(Error::QualifierMismatch),
        (inner, outer) => outer.or(inner).map(str::to_owned),
    };
    // The model lets reading operations name more than a function's name can be; no such function exists.
    let Ok(name) = FunctionName::new(written.name) else {
        return Err(Error::FunctionNotFound { arn: not_a_function(&region, &account, written.name) });
    };
    Ok(Target { key: FunctionKey { account, region, name }, qualifier })
}

fn not_a_function(region: &Region, account: &AccountId, name: &str) -> String {
    format!("arn:aws:lambda:{region}:{account}:function:{name}")
}

pub fn own_account_only(call: &Call<'_>, target: &Target) -> Result<(), Error> {
    if target.key.account == call.request.caller.account {
        return Ok(());
    }
    Err(call.denied(target.qualified_arn()))
}

fn split(text: &str) -> Option<Written<'_>> {
    let parts: Vec<&str> = text.split(':').collect();
    let mut rest = parts.as_slice();
    let mut region = None;
    let mut account = None;
    if let ["arn", partition, "lambda", tail @ ..] = rest {
        let known = partition.is_empty() || partition.starts_with("aws");
        if !known || !partition.chars().all(|c| c.is_ascii_alphabetic() || c == '-') {
            return None;
        }
        rest = tail;
        // A whole ARN names its region. The node serves regions of any name, so this one is read by position.
        if let [found, number, "function", _, ..] = rest
            && rules::is_account(number)
            && Region::new(found).is_ok()
        {
            region = Some(*found);
            rest = &rest[1..];
        }
    }
    if let [found, _, ..] = rest
        && region.is_none()
        && rules::is_region(found)
    {
        region = Some(*found);
        rest = &rest[1..];
    }
    if let [found, _, ..] = rest
        && rules::is_account(found)
    {
        account = Some(*found);
        rest = &rest[1..];
    }
    if let ["function", _, ..] = rest {
        rest = &rest[1..];
    }
    let (name, qualifier) = match rest {
        [name] => (*name, None),
        [name, qualifier] => (*name, Some(*qualifier)),
        _ => return None,
    };
    let name_is_word =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let qualifier_is_word = qualifier.is_none_or(|q| q == "$LATEST" || rules::is_word(q));
    (name_is_word && qualifier_is_word).then_some(Written { region, account, name, qualifier })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written<'a>(
        region: Option<&'a str>,
        account: Option<&'a str>,
        name: &'a str,
        qualifier: Option<&'a str>,
    ) -> Option<Written<'a>> {
        Some(Written { region, account, name, qualifier })
    }

    #[test]
    fn every_form_of_a_name_is_read() {
        let account = Some("123456789012");
        assert_eq!(split("f"), written(None, None, "f", None));
        assert_eq!(split("f:$LATEST"), written(None, None, "f", Some("$LATEST")));
        assert_eq!(split("function:f"), written(None, None, "f", None));
        assert_eq!(split("function"), written(None, None, "function", None));
        assert_eq!(split("123456789012:function:f:prod"), written(None, account, "f", Some("prod")));
        assert_eq!(
            split("arn:aws:lambda:eu-west-1:123456789012:function:f"),
            written(Some("eu-west-1"), account, "f", None)
        );
        assert_eq!(
            split("arn:aws:lambda:local:123456789012:function:f:7"),
            written(Some("local"), account, "f", Some("7"))
        );
    }

    #[test]
    fn other_texts_are_no_names() {
        for bad in
            ["", ":", "f:", "f:1:2", "a b", "f:a.b", "arn:gcp:lambda:eu-west-1:123456789012:function:f"]
        {
            assert_eq!(split(bad), None, "{bad}");
        }
        for bad in ["arn:aws:lambda", "arn:aws:sqs:eu-west-1:123456789012:f", "ä"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
