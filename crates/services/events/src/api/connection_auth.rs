//! AuthParameters: what a request says of a connection's credentials and parameters, and what may be shown of them.

use lambent_store::events::{
    AuthKind, AuthRecord, ConnectionRecord, HttpParametersRecord, OAuthRecord, ParameterRecord, Secret,
};
use lambent_wire::Fault;
use serde_json::{Value, json};

use super::shapes::{
    AUTH_TEXT, BODY_KEY, BODY_VALUE, ENDPOINT, HEADER_NAME, HEADER_VALUE, HTTP_PARAMETERS_MAX, QUERY_KEY,
    QUERY_VALUE,
};
use super::without_nulls;
use crate::http::is_endpoint;
use crate::reader::{Member, Shape, invalid};

pub const KINDS: &[&str] = &["BASIC", "OAUTH_CLIENT_CREDENTIALS", "API_KEY"];
const OAUTH_METHODS: &[&str] = &["GET", "POST", "PUT"];

/// What a request says. What it does not say stays as it is.
#[derive(Debug, Default)]
pub struct Asked {
    kind: Option<AuthKind>,
    /// Whether it has AuthParameters.
    pub has_parameters: bool,
    basic: Option<(Option<String>, Option<String>)>,
    api_key: Option<(Option<String>, Option<String>)>,
    oauth: Option<AskedOAuth>,
    pub parameters: Option<HttpParametersRecord>,
}

#[derive(Debug, Default, Clone)]
struct AskedOAuth {
    client: (Option<String>, Option<String>),
    endpoint: Option<String>,
    method: Option<String>,
    parameters: Option<HttpParametersRecord>,
}

impl Asked {
    /// Reads `AuthorizationType` and `AuthParameters`.
    pub fn read(root: &Member<'_>) -> Result<Self, Fault> {
        let kind = root.choice("AuthorizationType", KINDS)?;
        let mut asked = Self { kind: kind.as_deref().and_then(AuthKind::named), ..Self::default() };
        let Some(parameters) = root.member("AuthParameters")? else { return Ok(asked) };
        asked.has_parameters = true;
        let pair = |member: Option<Member<'_>>, first: &str, second: &str| match member {
            Some(member) => {
                Ok::<_, Fault>(Some((member.text(first, AUTH_TEXT)?, member.text(second, AUTH_TEXT)?)))
            }
            None => Ok(None),
        };
        asked.basic = pair(parameters.member("BasicAuthParameters")?, "Username", "Password")?;
        asked.api_key = pair(parameters.member("ApiKeyAuthParameters")?, "ApiKeyName", "ApiKeyValue")?;
        if let Some(oauth) = parameters.member("OAuthParameters")? {
            let client = pair(oauth.member("ClientParameters")?, "ClientID", "ClientSecret")?;
            asked.oauth = Some(AskedOAuth {
                client: client.unwrap_or_default(),
                endpoint: oauth.text("AuthorizationEndpoint", ENDPOINT)?,
                method: oauth.choice("HttpMethod", OAUTH_METHODS)?,
                parameters: oauth.member("OAuthHttpParameters")?.map(|m| read_parameters(&m)).transpose()?,
            });
        }
        asked.parameters =
            parameters.member("InvocationHttpParameters")?.map(|m| read_parameters(&m)).transpose()?;
        Ok(asked)
    }

    /// The credentials, where what is not asked for comes from those before of the same kind.
    pub fn auth(&self, old: Option<&ConnectionRecord>) -> Result<AuthRecord, Fault> {
        let old_kind = old.map(|old| old.kind);
        let Some(kind) = self.kind.or(old_kind) else {
            return Err(invalid("Parameter AuthorizationType must be specified."));
        };
        let given = [
            (AuthKind::Basic, self.basic.is_some(), "BasicAuthParameters"),
            (AuthKind::ApiKey, self.api_key.is_some(), "ApiKeyAuthParameters"),
            (AuthKind::OAuth, self.oauth.is_some(), "OAuthParameters"),
        ];
        if let Some((_, _, name)) = given.iter().find(|(of, is_given, _)| *is_given && *of != kind) {
            return Err(invalid(format!(
                "Parameter {name} is not valid for the authorization type {}.",
                kind.as_str()
            )));
        }
        let old = old.and_then(|old| old.auth.as_ref());
        match kind {
            AuthKind::Basic => {
                let (username, password) = self.basic.clone().unwrap_or_default();
                let old = match old {
                    Some(AuthRecord::Basic { username, password }) => {
                        Some((username.clone(), password.clone()))
                    }
                    _ => None,
                };
                let (old_name, old_password) = old.unzip();
                Ok(AuthRecord::Basic {
                    username: needed("BasicAuthParameters.Username", username.or(old_name))?,
                    password: needed("BasicAuthParameters.Password", password.map(Secret).or(old_password))?,
                })
            }
            AuthKind::ApiKey => {
                let (name, value) = self.api_key.clone().unwrap_or_default();
                let old = match old {
                    Some(AuthRecord::ApiKey { name, value }) => Some((name.clone(), value.clone())),
                    _ => None,
                };
                let (old_name, old_value) = old.unzip();
                let name = needed("ApiKeyAuthParameters.ApiKeyName", name.or(old_name))?;
                if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                    return Err(invalid(
                        "Parameter ApiKeyName is not valid. Reason: It is not the name of a header.",
                    ));
                }
                let value = needed("ApiKeyAuthParameters.ApiKeyValue", value.map(Secret).or(old_value))?;
                Ok(AuthRecord::ApiKey { name, value })
            }
            AuthKind::OAuth => {
                let old = match old {
                    Some(AuthRecord::OAuth(old)) => Some(old),
                    _ => None,
                };
                self.oauth.clone().unwrap_or_default().merged(old).map(AuthRecord::OAuth)
            }
        }
    }
}

impl AskedOAuth {
    fn merged(self, old: Option<&OAuthRecord>) -> Result<OAuthRecord, Fault> {
        let (id, secret) = self.client;
        let record = OAuthRecord {
            client_id: needed(
                "OAuthParameters.ClientParameters.ClientID",
                id.or(old.map(|o| o.client_id.clone())),
            )?,
            client_secret: needed(
                "OAuthParameters.ClientParameters.ClientSecret",
                secret.map(Secret).or(old.map(|o| o.client_secret.clone())),
            )?,
            endpoint: needed(
                "OAuthParameters.AuthorizationEndpoint",
                self.endpoint.or(old.map(|o| o.endpoint.clone())),
            )?,
            method: needed("OAuthParameters.HttpMethod", self.method.or(old.map(|o| o.method.clone())))?,
            parameters: self.parameters.or(old.map(|o| o.parameters.clone())).unwrap_or_default(),
        };
        if is_endpoint(&record.endpoint) {
            return Ok(record);
        }
        Err(invalid("Parameter AuthorizationEndpoint is not valid. Reason: It is not an HTTPS endpoint."))
    }
}

fn needed<T>(name: &str, value: Option<T>) -> Result<T, Fault> {
    value.ok_or_else(|| invalid(format!("Parameter AuthParameters.{name} must be specified.")))
}

fn read_parameters(member: &Member<'_>) -> Result<HttpParametersRecord, Fault> {
    let read = |name: &str, key: Shape, value: Shape| {
        let members = member.members(name, (0, HTTP_PARAMETERS_MAX))?.unwrap_or_default();
        let read = |member: &Member<'_>| {
            Ok(ParameterRecord {
                key: member.required_text("Key", key)?,
                value: Secret(member.text("Value", value)?.unwrap_or_default()),
                is_secret: member.flag("IsValueSecret")?.unwrap_or_default(),
            })
        };
        members.iter().map(read).collect::<Result<Vec<_>, Fault>>()
    };
    Ok(HttpParametersRecord {
        headers: read("HeaderParameters", HEADER_NAME, HEADER_VALUE)?,
        query: read("QueryStringParameters", QUERY_KEY, QUERY_VALUE)?,
        body: read("BodyParameters", BODY_KEY, BODY_VALUE)?,
    })
}

/// Without what is secret.
pub fn shown_auth(record: &ConnectionRecord) -> Value {
    let mut shown = match &record.auth {
        None => json!({}),
        Some(AuthRecord::Basic { username, .. }) => {
            json!({ "BasicAuthParameters": { "Username": username } })
        }
        Some(AuthRecord::ApiKey { name, .. }) => json!({ "ApiKeyAuthParameters": { "ApiKeyName": name } }),
        Some(AuthRecord::OAuth(oauth)) => json!({ "OAuthParameters": without_nulls(json!({
            "ClientParameters": { "ClientID": oauth.client_id },
            "AuthorizationEndpoint": oauth.endpoint,
            "HttpMethod": oauth.method,
            "OAuthHttpParameters": shown_parameters(&oauth.parameters),
        })) }),
    };
    if let Some(parameters) = shown_parameters(&record.parameters) {
        shown["InvocationHttpParameters"] = parameters;
    }
    shown
}

fn shown_parameters(parameters: &HttpParametersRecord) -> Option<Value> {
    let list = |list: &[ParameterRecord]| {
        let shown = list.iter().map(|parameter| {
            let value = (!parameter.is_secret).then_some(&parameter.value.0);
            without_nulls(
                json!({ "Key": parameter.key, "Value": value, "IsValueSecret": parameter.is_secret }),
            )
        });
        Some(Value::from_iter(shown)).filter(|_| !list.is_empty())
    };
    let lists = without_nulls(json!({
        "HeaderParameters": list(&parameters.headers),
        "QueryStringParameters": list(&parameters.query),
        "BodyParameters": list(&parameters.body),
    }));
    Some(lists).filter(|lists| lists.as_object().is_some_and(|lists| !lists.is_empty()))
}
