//! CreateAlias, GetAlias, UpdateAlias, DeleteAlias and ListAliases.

use lambent_wire::{Response, json_response};

use super::body::Body;
use super::check::{ANY, Check};
use super::list_functions::answer_page;
use super::page::Page;
use super::{Call, answer, empty, rules, target};
use crate::Functions;
use crate::engine::alias::{self, Create, Update, Weights};
use crate::error::Error;

/// API: MaxItems of ListAliases.
const MAX_ITEMS_MAX: i64 = 10_000;

pub async fn create(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let request = Create {
        name: body.required_text(&mut check, "Name", &rules::ALIAS)?,
        version: body.required_text(&mut check, "FunctionVersion", &rules::VERSION)?,
        description: body.text(&mut check, "Description", &rules::DESCRIPTION)?.unwrap_or_default(),
        weights: weights(&mut body)?.unwrap_or_default(),
    };
    check.finish()?;
    let revision = functions.stamp().revision;
    let answer = functions
        .change(&target, |record| {
            let (changed, alias) = alias::create(record, &request, revision.clone())?;
            Ok((Some(changed), json_response(201, &answer::alias(&record.key, &alias))))
        })
        .await?;
    functions.announce_update(&target.key, "CreateAlias", Some(&request.name)).await;
    Ok(answer)
}

pub async fn update(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    check.text("name", call.label("Name"), &rules::ALIAS);
    let request = Update {
        name: call.label("Name").to_owned(),
        version: body.text(&mut check, "FunctionVersion", &rules::VERSION)?,
        description: body.text(&mut check, "Description", &rules::DESCRIPTION)?,
        weights: weights(&mut body)?,
        revision: body.text(&mut check, "RevisionId", &ANY)?,
    };
    check.finish()?;
    let revision = functions.stamp().revision;
    let before = functions.record(&target)?;
    let (after, _) = alias::update(&before, &request, revision.clone())?;
    functions.warm_alias(&before, &after, &request.name).await;
    let answer = functions
        .change(&target, |record| {
            let (changed, alias) = alias::update(record, &request, revision.clone())?;
            Ok((Some(changed), json_response(200, &answer::alias(&record.key, &alias))))
        })
        .await;
    if before.provisioned.contains_key(&request.name) {
        // Whether the change was made or not: what the warming had made beside it goes.
        functions.provision(&target.key);
    }
    let answer = answer?;
    functions.announce_update(&target.key, "UpdateAlias", Some(&request.name)).await;
    Ok(answer)
}

pub async fn get(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    check_name(&call)?;
    let record = functions.record(&target)?;
    let alias = alias::find(&record, call.label("Name"))?;
    Ok(json_response(200, &answer::alias(&record.key, alias)))
}

pub async fn delete(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    check_name(&call)?;
    let is_deleted = functions
        .change(&target, |record| {
            let changed = alias::delete(record, call.label("Name"));
            let is_deleted = changed.is_some();
            Ok((changed, is_deleted))
        })
        .await?;
    functions.provision(&target.key);
    if is_deleted {
        functions.announce_update(&target.key, "DeleteAlias", Some(call.label("Name"))).await;
    }
    Ok(empty(204))
}

pub async fn list(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    let mut check = Check::default();
    let page = Page::read(&call, &mut check, MAX_ITEMS_MAX)?;
    let version = call.request.query_value("FunctionVersion");
    if let Some(version) = version {
        check.text("functionVersion", version, &rules::VERSION);
    }
    check.finish()?;
    let record = functions.record(&target)?;
    let rest = record.aliases.values().filter(|alias| {
        version.is_none_or(|version| alias.version.to_string() == version)
            && page.after.as_ref().is_none_or(|after| alias.name > *after)
    });
    let (shown, next) = page.cut(rest, |alias| alias.name.clone());
    let listed: Vec<_> = shown.into_iter().map(|alias| answer::alias(&record.key, alias)).collect();
    Ok(answer_page("Aliases", &listed, next))
}

fn check_name(call: &Call<'_>) -> Result<(), Error> {
    let mut check = Check::default();
    check.text("name", call.label("Name"), &rules::ALIAS);
    check.finish()
}

/// `Some` when RoutingConfig was given at all: an empty one ends the routing.
fn weights(body: &mut Body) -> Result<Option<Weights>, Error> {
    match body.object("RoutingConfig")? {
        None => Ok(None),
        Some(mut routing) => Ok(Some(routing.number_map("AdditionalVersionWeights")?.unwrap_or_default())),
    }
}
