//! Names and ARNs of what this service keeps.

use lambent_core::arn::Arn;
use lambent_core::ids::{AccountId, Region};
use lambent_store::events::{Key, Kind, Scope};

/// The bus, and the group of schedules, that every account has.
pub const DEFAULT: &str = "default";

/// A bus of an account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BusName {
    pub account: AccountId,
    pub region: Region,
    pub name: String,
}

impl BusName {
    pub fn key(&self) -> Key {
        self.key_of(Kind::Bus, "", &self.name)
    }

    /// Where the bus's rules are.
    pub fn rules(&self) -> Scope {
        self.rule("").scope
    }

    pub fn rule(&self, name: &str) -> Key {
        self.key_of(Kind::Rule, &self.name, name)
    }

    /// Where the archives of the bus's account are.
    pub fn archives(&self) -> Scope {
        self.key_of(Kind::Archive, "", "").scope
    }

    fn key_of(&self, kind: Kind, parent: &str, name: &str) -> Key {
        let (account, region) = (self.account.clone(), self.region.clone());
        Key { scope: Scope { account, region, kind, parent: parent.to_owned() }, name: name.to_owned() }
    }

    pub fn arn(&self) -> String {
        format!("arn:aws:events:{}:{}:event-bus/{}", self.region, self.account, self.name)
    }

    /// The bus of an ARN.
    pub fn of_arn(text: &str) -> Option<Self> {
        let arn = Arn::parse(text).filter(|arn| arn.service == "events")?;
        let name = arn.resource.strip_prefix("event-bus/").filter(|name| !name.is_empty())?;
        Some(Self {
            account: AccountId::new(&arn.account).ok()?,
            region: Region::new(&arn.region).ok()?,
            name: name.to_owned(),
        })
    }
}

/// The ARN of a rule: one of the default bus has no bus in it.
pub fn rule_arn(key: &Key) -> String {
    let Scope { account, region, parent, .. } = &key.scope;
    match parent.as_str() {
        DEFAULT => format!("arn:aws:events:{region}:{account}:rule/{}", key.name),
        bus => format!("arn:aws:events:{region}:{account}:rule/{bus}/{}", key.name),
    }
}

/// The rule of an ARN.
pub fn rule_of_arn(text: &str) -> Option<Key> {
    let arn = Arn::parse(text).filter(|arn| arn.service == "events")?;
    let path = arn.resource.strip_prefix("rule/")?;
    let (bus, name) = path.rsplit_once('/').unwrap_or((DEFAULT, path));
    let bus = BusName {
        account: AccountId::new(&arn.account).ok()?,
        region: Region::new(&arn.region).ok()?,
        name: bus.to_owned(),
    };
    Some(bus.rule(name))
}

pub fn archive_arn(key: &Key) -> String {
    let Scope { account, region, .. } = &key.scope;
    format!("arn:aws:events:{region}:{account}:archive/{}", key.name)
}

/// The archive of an ARN.
pub fn archive_of_arn(text: &str) -> Option<Key> {
    let arn = Arn::parse(text).filter(|arn| arn.service == "events")?;
    let name = arn.resource.strip_prefix("archive/").filter(|name| !name.is_empty())?;
    let (account, region) = (AccountId::new(&arn.account).ok()?, Region::new(&arn.region).ok()?);
    let scope = Scope { account, region, kind: Kind::Archive, parent: String::new() };
    Some(Key { scope, name: name.to_owned() })
}

pub fn replay_arn(key: &Key) -> String {
    let Scope { account, region, .. } = &key.scope;
    format!("arn:aws:events:{region}:{account}:replay/{}", key.name)
}

pub fn connection_arn(key: &Key, id: &str) -> String {
    let Scope { account, region, .. } = &key.scope;
    format!("arn:aws:events:{region}:{account}:connection/{}/{id}", key.name)
}

/// As the reference names the secret that it keeps a connection's credentials in.
pub fn connection_secret_arn(key: &Key, id: &str) -> String {
    let Scope { account, region, .. } = &key.scope;
    let end: String = id.chars().filter(char::is_ascii_alphanumeric).take(6).collect();
    format!("arn:aws:secretsmanager:{region}:{account}:secret:events!connection/{}/{id}-{end}", key.name)
}

pub fn api_destination_arn(key: &Key, id: &str) -> String {
    let Scope { account, region, .. } = &key.scope;
    format!("arn:aws:events:{region}:{account}:api-destination/{}/{id}", key.name)
}

/// The connection of an ARN, and which one of its name it is.
pub fn connection_of_arn(text: &str) -> Option<(Key, String)> {
    named_of_arn(text, Kind::Connection, "connection/")
}

/// The API destination of an ARN, and which one of its name it is.
pub fn api_destination_of_arn(text: &str) -> Option<(Key, String)> {
    named_of_arn(text, Kind::Destination, "api-destination/")
}

fn named_of_arn(text: &str, kind: Kind, prefix: &str) -> Option<(Key, String)> {
    let arn = Arn::parse(text).filter(|arn| arn.service == "events")?;
    let (name, id) = arn.resource.strip_prefix(prefix)?.split_once('/')?;
    if name.is_empty() || id.is_empty() || id.contains('/') {
        return None;
    }
    let (account, region) = (AccountId::new(&arn.account).ok()?, Region::new(&arn.region).ok()?);
    let scope = Scope { account, region, kind, parent: String::new() };
    Some((Key { scope, name: name.to_owned() }, id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_read_back() {
        let arn = "arn:aws:events:eu-west-1:123456789012:event-bus/b";
        let bus = BusName::of_arn(arn).unwrap();
        assert_eq!(bus.arn(), arn);
        let rule = rule_arn(&bus.rule("r"));
        assert_eq!(rule, "arn:aws:events:eu-west-1:123456789012:rule/b/r");
        assert_eq!(rule_of_arn(&rule), Some(bus.rule("r")));
        let default = BusName { name: DEFAULT.into(), ..bus };
        assert_eq!(rule_arn(&default.rule("r")), "arn:aws:events:eu-west-1:123456789012:rule/r");
        assert_eq!(rule_of_arn(&rule_arn(&default.rule("r"))), Some(default.rule("r")));
        let arn = "arn:aws:events:eu-west-1:123456789012:api-destination/d/1-2";
        let (key, id) = api_destination_of_arn(arn).unwrap();
        assert_eq!((api_destination_arn(&key, &id).as_str(), connection_of_arn(arn)), (arn, None));
        let (key, id) = connection_of_arn(&connection_arn(&key, &id)).unwrap();
        assert_eq!((key.name.as_str(), id.as_str()), ("d", "1-2"));
        for bad in ["d", "d/", "/1", "d/1/2"] {
            assert_eq!(
                api_destination_of_arn(&format!(
                    "arn:aws:events:eu-west-1:123456789012:api-destination/{bad}"
                )),
                None
            );
        }
        for bad in
            ["", "x", "arn:aws:sqs:r:123456789012:event-bus/b", "arn:aws:events:r:123456789012:event-bus/"]
        {
            assert_eq!(BusName::of_arn(bad), None, "{bad}");
        }
    }
}
