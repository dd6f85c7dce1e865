//! The records of API destinations and their connections.

use std::collections::BTreeMap;
use std::fmt;

use lambent_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A text that is stored and sent, and never shown: no log and no message has it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// A part of its ARN: another connection of the same name has another.
    pub id: String,
    /// Names what it authorizes with: a change of that has another name.
    pub credentials: String,
    pub description: Option<String>,
    pub state: ConnectionState,
    /// Why it is not authorized.
    pub reason: Option<String>,
    pub kind: AuthKind,
    /// `None` after DeauthorizeConnection.
    pub auth: Option<AuthRecord>,
    /// InvocationHttpParameters.
    pub parameters: HttpParametersRecord,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub authorized: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectionState {
    Authorizing,
    Authorized,
    Deauthorized,
}

impl ConnectionState {
    /// As the API says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorizing => "AUTHORIZING",
            Self::Authorized => "AUTHORIZED",
            Self::Deauthorized => "DEAUTHORIZED",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthKind {
    Basic,
    ApiKey,
    OAuth,
}

impl AuthKind {
    /// As the API says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "BASIC",
            Self::ApiKey => "API_KEY",
            Self::OAuth => "OAUTH_CLIENT_CREDENTIALS",
        }
    }

    pub fn named(text: &str) -> Option<Self> {
        [Self::Basic, Self::ApiKey, Self::OAuth].into_iter().find(|kind| kind.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AuthRecord {
    Basic { username: String, password: Secret },
    ApiKey { name: String, value: Secret },
    OAuth(OAuthRecord),
}

impl AuthRecord {
    pub const fn kind(&self) -> AuthKind {
        match self {
            Self::Basic { .. } => AuthKind::Basic,
            Self::ApiKey { .. } => AuthKind::ApiKey,
            Self::OAuth(_) => AuthKind::OAuth,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OAuthRecord {
    pub client_id: String,
    pub client_secret: Secret,
    pub endpoint: String,
    pub method: String,
    pub parameters: HttpParametersRecord,
}

/// Parameters that each request of a connection has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HttpParametersRecord {
    pub headers: Vec<ParameterRecord>,
    pub query: Vec<ParameterRecord>,
    pub body: Vec<ParameterRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterRecord {
    pub key: String,
    pub value: Secret,
    pub is_secret: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DestinationRecord {
    /// A part of its ARN, as a connection's.
    pub id: String,
    pub description: Option<String>,
    /// The connection's ARN.
    pub connection: String,
    /// With a `*` for each path parameter.
    pub endpoint: String,
    pub method: String,
    /// InvocationRateLimitPerSecond.
    pub per_second: u32,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// HttpParameters of a target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetHttpRecord {
    pub path: Vec<String>,
    pub headers: BTreeMap<String, String>,
    pub query: BTreeMap<String, String>,
}
