//! The text constraints of the Lambda model (2015-03-31), each pattern once as text and once as code.
//!
//! The model's patterns are few and plain, so each is a small function instead of a regular expression
//! engine. A name's form beyond its alphabet (ARN or bare, qualifier or none) is read in `api::target`.

use super::check::TextRule;

pub const DESCRIPTION: TextRule = TextRule::length(0, 256);
pub const LICENSE_INFO: TextRule = TextRule::length(0, 512);

pub const ROLE: TextRule = TextRule::pattern(
    0,
    usize::MAX,
    r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
    is_role,
);
pub const HANDLER: TextRule = TextRule::pattern(0, 128, r"[^\s]+", has_no_space);
pub const LAYER_VERSION_ARN: TextRule = TextRule::pattern(
    1,
    140,
    r"arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+",
    is_layer_version_arn,
);
pub const LAYER_NAME: TextRule = TextRule::pattern(
    1,
    140,
    r"(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+",
    |t| is_word(t) || is_layer_arn(t),
);
pub const LOG_GROUP: TextRule = TextRule::pattern(1, 512, r"[\.\-_/#A-Za-z0-9]+", |t| {
    every(t, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '#'))
});
pub const QUALIFIER: TextRule = TextRule::pattern(1, 128, r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+", |t| {
    t == "$LATEST.PUBLISHED" || every(t, |c| is_word_char(c) || c == '$')
});
pub const ALIAS: TextRule = TextRule::pattern(1, 128, "(?!^[0-9]+$)([a-zA-Z0-9-_]+)", is_alias);
pub const URL_QUALIFIER: TextRule = TextRule::pattern(1, 128, r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", is_alias);
pub const VERSION: TextRule = TextRule::pattern(1, 1024, r"(\$LATEST(\.PUBLISHED)?|[0-9]+)", |t| {
    t == "$LATEST" || t == "$LATEST.PUBLISHED" || every(t, |c| c.is_ascii_digit())
});
pub const STATEMENT_ID: TextRule = TextRule::pattern(1, 100, "([a-zA-Z0-9-_]+)", is_word);
pub const STATEMENT_ID_TO_REMOVE: TextRule =
    TextRule::pattern(1, 100, "([a-zA-Z0-9-_.]+)", |t| every(t, |c| is_word_char(c) || c == '.'));
pub const ACTION: TextRule =
    TextRule::pattern(0, usize::MAX, "(lambda:[*]|lambda:[a-zA-Z]+|[*])", |t| {
        match t.strip_prefix("lambda:") {
            Some(rest) => rest == "*" || every(rest, |c| c.is_ascii_alphabetic()),
            None => t == "*",
        }
    });
pub const PRINCIPAL: TextRule = TextRule::pattern(0, usize::MAX, r"[^\s]+", has_no_space);
pub const SOURCE_ARN: TextRule = TextRule::pattern(
    0,
    usize::MAX,
    r"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:([a-z]{2}(-gov)?-[a-z]+-\d{1})?:(\d{12})?:(.*)",
    is_source_arn,
);
pub const DESTINATION_ARN: TextRule = TextRule::pattern(
    0,
    350,
    r"$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)",
    |t| t.is_empty() || t.starts_with("kafka://") || is_source_arn(t),
);
pub const SOURCE_ACCOUNT: TextRule = TextRule::pattern(0, 12, r"\d{12}", is_account);
pub const EVENT_SOURCE_TOKEN: TextRule = TextRule::pattern(0, 256, r"[a-zA-Z0-9._\-]+", |t| {
    every(t, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
});
pub const PRINCIPAL_ORG_ID: TextRule = TextRule::pattern(12, 34, "o-[a-z0-9]{10,32}", |t| {
    t.strip_prefix("o-").is_some_and(|id| {
        (10..=32).contains(&id.len()) && every(id, |c| c.is_ascii_lowercase() || c.is_ascii_digit())
    })
});
pub const MASTER_REGION: TextRule =
    TextRule::pattern(0, usize::MAX, r"ALL|[a-z]{2}(-gov)?-[a-z]+-\d{1}", |t| t == "ALL" || is_region(t));
pub const CLIENT_CONTEXT: TextRule = TextRule::length(0, lambent_core::limits::CLIENT_CONTEXT_BYTES_MAX);

pub const ENVIRONMENT_KEY_PATTERN: &str = "[a-zA-Z]([a-zA-Z0-9_])+";

/// `[a-zA-Z]([a-zA-Z0-9_])+`.
pub fn is_environment_key(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && every(text, |c| c.is_ascii_alphanumeric() || c == '_')
}

/// `[a-zA-Z0-9-_]+`.
pub fn is_word(text: &str) -> bool {
    every(text, is_word_char)
}

fn is_alias(text: &str) -> bool {
    is_word(text) && !every(text, |c| c.is_ascii_digit())
}

/// Twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && every(text, |c| c.is_ascii_digit())
}

/// `[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}`.
pub fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let middle_is_known = match parts.len() {
        3 => true,
        4 => {
            let part = parts[1];
            part == "gov" || part == "iso" || (part.len() == 4 && part.starts_with("iso"))
        }
        _ => return false,
    };
    let lower = |t: &str| every(t, |c| c.is_ascii_lowercase());
    let digit = parts[parts.len() - 1];
    middle_is_known
        && parts[0].len() == 2
        && parts[..parts.len() - 1].iter().all(|p| lower(p))
        && digit.len() == 1
        && every(digit, |c| c.is_ascii_digit())
}

/// Whether the text is not empty and made of such characters only.
fn every(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn has_no_space(text: &str) -> bool {
    every(text, |c| !c.is_whitespace())
}

fn is_partition(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix("aws")
            .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphabetic() || c == '-'))
}

fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, service, region, account, resource] = parts[..] else { return false };
    let name = resource.strip_prefix("role").unwrap_or_default();
    arn == "arn"
        && is_partition(partition)
        && service == "iam"
        && region.is_empty()
        && is_account(account)
        && every(name.strip_prefix('/').unwrap_or(name), |c| {
            c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '=' | ',' | '.' | '@' | '-' | '/')
        })
}

fn is_layer_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    parts.len() == 7 && is_layer_head(&parts)
}

fn is_layer_version_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    parts.len() == 8 && is_layer_head(&parts) && every(parts[7], |c| c.is_ascii_digit())
}

fn is_layer_head(parts: &[&str]) -> bool {
    let dashed = |t: &str| every(t, |c| c.is_ascii_alphanumeric() || c == '-');
    parts[0] == "arn"
        && dashed(parts[1])
        && parts[2] == "lambda"
        && dashed(parts[3])
        && is_account(parts[4])
        && parts[5] == "layer"
        && is_word(parts[6])
}

fn is_source_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, service, region, account, _] = parts[..] else { return false };
    let dashed = |t: &str| every(t, |c| c.is_ascii_alphanumeric() || c == '-');
    arn == "arn"
        && partition.starts_with("aws")
        && dashed(partition)
        && dashed(service)
        && (region.is_empty() || is_region(region))
        && (account.is_empty() || is_account(account))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(rule: &TextRule, text: &str) -> bool {
        (rule.pattern.expect("the rule has a pattern").matches)(text)
    }

    #[test]
    fn each_pattern_takes_what_the_model_takes() {
        let cases: &[(&TextRule, &[&str], &[&str])] = &[
            (
                &ROLE,
                &["arn:aws:iam::123456789012:role/a/b", "arn:aws-cn:iam::123456789012:role/r@x"],
                &["", "role", "arn:aws:iam::12:role/x", "arn:aws:iam:us-east-1:123456789012:role/x"],
            ),
            (&HANDLER, &["index.handler", "bootstrap"], &["", "a b", "a\tb"]),
            (
                &LAYER_VERSION_ARN,
                &["arn:aws:lambda:us-east-1:123456789012:layer:l:1"],
                &["arn:aws:lambda:us-east-1:123456789012:layer:l", "l:1", ""],
            ),
            (&LAYER_NAME, &["l-1_x", "arn:aws:lambda:us-east-1:123456789012:layer:l"], &["", "a b", "l:1"]),
            (&LOG_GROUP, &["/aws/lambda/x", "a#b"], &["", "a b", "a:b"]),
            (&QUALIFIER, &["$LATEST", "$LATEST.PUBLISHED", "1", "prod"], &["", "a.b", "a:b"]),
            (&ALIAS, &["prod", "1a", "a-b_c"], &["1", "123", "", "$LATEST"]),
            (&VERSION, &["$LATEST", "12"], &["", "v1", "-1"]),
            (&ACTION, &["lambda:*", "lambda:InvokeFunction", "*"], &["lambda:", "s3:GetObject", "lambda:1"]),
            (&SOURCE_ACCOUNT, &["123456789012"], &["", "12345678901", "12345678901a"]),
            (
                &SOURCE_ARN,
                &["arn:aws:s3:::bucket", "arn:aws:sns:eu-west-1:123456789012:t"],
                &["s3", "arn:s3:::b"],
            ),
            (&PRINCIPAL_ORG_ID, &["o-0123456789"], &["o-1", "0123456789ab"]),
            (&MASTER_REGION, &["ALL", "us-gov-west-1"], &["", "all", "us-gov-west"]),
        ];
        for (rule, good, bad) in cases {
            for text in *good {
                assert!(accepts(rule, text), "{text} should match {}", rule.pattern.unwrap().text);
            }
            for text in *bad {
                assert!(!accepts(rule, text), "{text} should not match {}", rule.pattern.unwrap().text);
            }
        }
    }

    #[test]
    fn variable_names_begin_with_a_letter_and_have_two_characters() {
        assert!(is_environment_key("A1") && is_environment_key("a_"));
        for bad in ["", "A", "1A", "_A", "A-B", "Ä1"] {
            assert!(!is_environment_key(bad), "{bad}");
        }
    }
}
