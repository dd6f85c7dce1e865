//! Policies of resources: who may do what to a queue, a topic, a bus, and under which conditions.
//!
//! A document is read by the service that keeps it (it is JSON, and this crate knows no format: see the
//! `Deserialize` of [`Policy`]); here it is asked. What is not understood grants nothing: an unknown operator never
//! matches an Allow, and always matches a Deny.
//!
//! What this is not: identity policies, boundaries and session policies have their own rules of combination.

mod condition;
mod pattern;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::ids::AccountId;
use condition::Conditions;
pub use pattern::matches;

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Policy {
    #[serde(default)]
    pub version: Option<String>,
    #[serde(default)]
    pub id: Option<String>,
    pub statement: OneOrMany<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Statement {
    #[serde(default)]
    pub sid: Option<String>,
    pub effect: Effect,
    #[serde(default)]
    pub principal: Option<Principals>,
    #[serde(default)]
    pub not_principal: Option<Principals>,
    #[serde(default)]
    pub action: Option<OneOrMany<String>>,
    #[serde(default)]
    pub not_action: Option<OneOrMany<String>>,
    #[serde(default)]
    pub resource: Option<OneOrMany<String>>,
    #[serde(default)]
    pub not_resource: Option<OneOrMany<String>>,
    #[serde(default)]
    pub condition: Conditions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Effect {
    Allow,
    Deny,
}

/// `"*"`, or texts by kind: `AWS`, `Service`, `Federated`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Principals {
    Anybody(String),
    Kinds(BTreeMap<String, OneOrMany<String>>),
}

/// Where JSON has one or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub enum Asker<'a> {
    /// An identity whose signature was verified, or a role that the platform acts as.
    Identity { account: &'a AccountId, arn: &'a str },
    /// A service of the platform, such as `sns.amazonaws.com`.
    Service(&'a str),
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub asker: Asker<'a>,
    /// `sqs:SendMessage`.
    pub action: &'a str,
    pub resource: &'a str,
    /// Condition keys and their values, `aws:SourceArn` among them where there is a source. Names in any case.
    pub context: &'a [(&'a str, &'a str)],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Denied,
    /// No statement speaks of it.
    Silent,
}

impl Policy {
    /// A Deny that fits wins over every Allow.
    pub fn judge(&self, asked: &Asked<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in self.statement.as_slice() {
            if statement.fits(asked) {
                match statement.effect {
                    Effect::Deny => return Verdict::Denied,
                    Effect::Allow => verdict = Verdict::Allowed,
                }
            }
        }
        verdict
    }
}

impl Statement {
    fn fits(&self, asked: &Asked<'_>) -> bool {
        let speaks_to = match (&self.principal, &self.not_principal) {
            (Some(named), _) => named.name(asked.asker),
            (None, Some(named)) => !named.name(asked.asker),
            (None, None) => false,
        };
        let any = |patterns: &OneOrMany<String>, text: &str, folds: bool| {
            patterns.as_slice().iter().any(|pattern| matches(pattern, text, folds))
        };
        let of_action = match (&self.action, &self.not_action) {
            (Some(named), _) => any(named, asked.action, true),
            (None, Some(named)) => !any(named, asked.action, true),
            (None, None) => false,
        };
        let of_resource = match (&self.resource, &self.not_resource) {
            (Some(named), _) => any(named, asked.resource, false),
            (None, Some(named)) => !any(named, asked.resource, false),
            (None, None) => false,
        };
        speaks_to && of_action && of_resource && self.condition.hold(asked, self.effect)
    }
}

impl Principals {
    fn name(&self, asker: Asker<'_>) -> bool {
        let kinds = match self {
            Self::Anybody(text) => return text == "*",
            Self::Kinds(kinds) => kinds,
        };
        let named = |kind: &str| kinds.get(kind).map(OneOrMany::as_slice).unwrap_or_default();
        match asker {
            Asker::Service(name) => named("Service").iter().any(|text| text == name || text == "*"),
            Asker::Identity { account, arn } => named("AWS").iter().any(|text| {
                text == "*"
                    || text == arn
                    || text == account.as_str()
                    || text.strip_suffix(":root").is_some_and(|front| {
                        front.strip_prefix("arn:aws:iam::").is_some_and(|of| of == account.as_str())
                    })
                    || role_of(arn).is_some_and(|role| text == &role)
            }),
        }
    }
}

/// The role behind a session: a policy that names a role means its sessions. The path of a role is not part of its
/// sessions' names, so that a role with a path is named by its session only.
fn role_of(arn: &str) -> Option<String> {
    let (account, rest) = arn.strip_prefix("arn:aws:sts::")?.split_once(":assumed-role/")?;
    let (role, _) = rest.split_once('/')?;
    Some(format!("arn:aws:iam::{account}:role/{role}"))
}
