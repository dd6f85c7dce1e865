//! `lambent env`: the settings that point AWS tools at the node.

use serde_json::{Map, Value};

use super::args::{Env, EnvShell, Global};
use super::client::{Credentials, Endpoint, Origin, region};
use super::failure::Failure;
use super::output::Output;

pub fn run(global: &Global, env: &Env, output: &Output) -> Result<(), Failure> {
    let endpoint = Endpoint::resolve(global)?;
    let credentials = Credentials::resolve(global, &endpoint)?;
    let variables = variables(&endpoint, &credentials, &region(global));
    if output.json {
        let object: Map<String, Value> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
        return output.document(&Value::Object(object));
    }
    for (name, value) in &variables {
        output.line(export(env.shell, name, value))?;
    }
    if output.terminal {
        let command = match env.shell {
            EnvShell::Bash => "eval \"$(lambent env)\"",
            EnvShell::Fish => "lambent env --shell fish | source",
            EnvShell::Powershell => "lambent env --shell powershell | Out-String | Invoke-Expression",
        };
        output.note(format!("\nTo set them in this shell: {command}"));
    }
    if credentials.origin == Origin::Test {
        output.note("no node has made a key here yet; test/test works while a node listens on loopback");
    }
    Ok(())
}

fn variables(endpoint: &Endpoint, credentials: &Credentials, region: &str) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("AWS_ENDPOINT_URL", endpoint.to_string()),
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.clone()),
        ("AWS_REGION", region.to_owned()),
        ("AWS_DEFAULT_REGION", region.to_owned()),
    ];
    if let Some(token) = &credentials.session_token {
        variables.insert(3, ("AWS_SESSION_TOKEN", token.clone()));
    }
    variables
}

fn export(shell: EnvShell, name: &str, value: &str) -> String {
    match shell {
        EnvShell::Bash => format!("export {name}='{}'", value.replace('\'', r"'\''")),
        EnvShell::Fish => format!("set -gx {name} '{}'", value.replace('\\', r"\\").replace('\'', r"\'")),
        EnvShell::Powershell => format!("$Env:{name} = '{}'", value.replace('\'', "''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_one_word_in_every_shell() {
        assert_eq!(export(EnvShell::Bash, "A", "a'$b"), r"export A='a'\''$b'");
        assert_eq!(export(EnvShell::Fish, "A", r"a'\b"), r"set -gx A 'a\'\\b'");
        assert_eq!(export(EnvShell::Powershell, "A", "a'b"), "$Env:A = 'a''b'");
    }

    #[test]
    fn the_aws_tools_find_endpoint_key_and_region() {
        let variables = variables(&Endpoint::parse("http://h:1").unwrap(), &Credentials::test(), "eu-west-1");
        let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "AWS_ENDPOINT_URL",
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_REGION",
                "AWS_DEFAULT_REGION"
            ]
        );
    }
}
