//! CreateFunctionUrlConfig, GetFunctionUrlConfig, UpdateFunctionUrlConfig, DeleteFunctionUrlConfig and
//! ListFunctionUrlConfigs. What a request to such a URL does is in `url_call`.

use lambent_core::arn;
use lambent_store::functions::{CorsRecord, FunctionKey, UrlAuth, UrlInvokeMode, UrlRecord};
use lambent_wire::{Response, json_response};
use serde_json::{Value, json};

use super::body::Body;
use super::check::{Check, TextRule};
use super::list_functions::answer_page;
use super::page::Page;
use super::target::Target;
use super::{Call, empty, rules, target};
use crate::Functions;
use crate::engine::url;
use crate::error::Error;

/// API, MaxItems of ListFunctionUrlConfigs.
const MAX_ITEMS_MAX: i64 = 50;

/// API, Cors: AllowHeaders and ExposeHeaders, AllowMethods, AllowOrigins, MaxAge.
const HEADERS_MAX: usize = 100;
const HEADER: TextRule = TextRule::length(0, 1_024);
const METHODS_MAX: usize = 6;
const METHOD: TextRule = TextRule::length(0, 6);
const ORIGINS_MAX: usize = 100;
const ORIGIN: TextRule = TextRule::length(1, 253);
const MAX_AGE_SECS_MAX: i64 = 86_400;

pub async fn create(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = read_target(&call)?;
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let settings = read_settings(&mut check, &mut body)?;
    if settings.auth.is_none() {
        check.missing("authType");
    }
    check.finish()?;
    let request = url::Create {
        id: url::new_id(&*functions.deps.entropy),
        auth: settings.auth.unwrap_or(UrlAuth::AwsIam),
        invoke_mode: settings.invoke_mode.unwrap_or(UrlInvokeMode::Buffered),
        cors: settings.cors,
    };
    functions.record(&target).map_err(|_| Error::FunctionNotThere)?;
    let qualifier = target.qualifier.as_deref();
    functions
        .change(&target, |record| {
            let now = functions.deps.clock.now();
            let (changed, made) = url::create(record, qualifier, &request, &target.qualified_arn(), now)?;
            let mut answer = shown(functions, &record.key, qualifier, &made);
            // A creation's answer has no moment of change.
            answer.as_object_mut().map(|members| members.remove("LastModifiedTime"));
            Ok((Some(changed), json_response(201, &answer)))
        })
        .await
}

pub async fn update(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = read_target(&call)?;
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let request = read_settings(&mut check, &mut body)?;
    check.finish()?;
    functions.record(&target).map_err(|_| Error::FunctionNotThere)?;
    let qualifier = target.qualifier.as_deref();
    functions
        .change(&target, |record| {
            let now = functions.deps.clock.now();
            let (changed, made) = url::update(record, qualifier, &request, now)?;
            Ok((Some(changed), json_response(200, &shown(functions, &record.key, qualifier, &made))))
        })
        .await
}

/// The reference says the same of a function that is not there.
pub async fn get(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = read_target(&call)?;
    let record = functions.record(&target).map_err(|_| Error::ResourceNotFound)?;
    let qualifier = target.qualifier.as_deref();
    let found = url::find(&record, qualifier)?;
    Ok(json_response(200, &shown(functions, &record.key, qualifier, found)))
}

pub async fn delete(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = read_target(&call)?;
    functions.record(&target).map_err(|_| Error::ResourceNotFound)?;
    let qualifier = target.qualifier.as_deref();
    functions.change(&target, |record| Ok((Some(url::delete(record, qualifier)?), ()))).await?;
    Ok(empty(204))
}

pub async fn list(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut check = Check::default();
    let page = Page::read(&call, &mut check, MAX_ITEMS_MAX)?;
    check.finish()?;
    let target = target::read_unqualified(&call)?;
    let record = functions.record(&target).map_err(|_| Error::FunctionNotThere)?;
    let rest = record.urls.iter().filter(|(key, _)| page.after.as_ref().is_none_or(|after| *key > after));
    let (found, next) = page.cut(rest, |(key, _)| (*key).clone());
    let qualifier = |key: &'_ str| (!key.is_empty()).then(|| key.to_owned());
    let listed: Vec<_> = found
        .into_iter()
        .map(|(key, url)| shown(functions, &record.key, qualifier(key).as_deref(), url))
        .collect();
    Ok(answer_page("FunctionUrlConfigs", &listed, next))
}

/// The function and the alias, if one is named. A version has no URL.
fn read_target(call: &Call<'_>) -> Result<Target, Error> {
    let qualifier = call.request.query_value("Qualifier");
    let mut check = Check::default();
    if let Some(qualifier) = qualifier {
        check.text("qualifier", qualifier, &rules::URL_QUALIFIER);
    }
    check.finish()?;
    let target = target::read(call)?;
    // One that came with the name is held to the same rule.
    if let (None, Some(inner)) = (qualifier, &target.qualifier) {
        let mut check = Check::default();
        check.text("functionName", inner, &rules::URL_QUALIFIER);
        check.finish()?;
    }
    Ok(target)
}

fn read_settings(check: &mut Check, body: &mut Body) -> Result<url::Update, Error> {
    let auth = body.choice(check, "AuthType", &["NONE", "AWS_IAM"])?;
    let invoke_mode = body.choice(check, "InvokeMode", &["RESPONSE_STREAM", "BUFFERED"])?;
    let cors = match body.object("Cors")? {
        None => None,
        Some(mut cors) => Some(CorsRecord {
            allow_credentials: cors.flag("AllowCredentials")?,
            allow_headers: texts(check, &mut cors, "AllowHeaders", HEADERS_MAX, &HEADER)?,
            allow_methods: texts(check, &mut cors, "AllowMethods", METHODS_MAX, &METHOD)?,
            allow_origins: texts(check, &mut cors, "AllowOrigins", ORIGINS_MAX, &ORIGIN)?,
            expose_headers: texts(check, &mut cors, "ExposeHeaders", HEADERS_MAX, &HEADER)?,
            max_age_secs: cors
                .number(check, "MaxAge", 0, MAX_AGE_SECS_MAX)?
                .and_then(|secs| u32::try_from(secs).ok()),
        }),
    };
    let auth = auth.map(|auth| if auth == "NONE" { UrlAuth::None } else { UrlAuth::AwsIam });
    let invoke_mode = invoke_mode.map(|mode| match mode.as_str() {
        "RESPONSE_STREAM" => UrlInvokeMode::ResponseStream,
        _ => UrlInvokeMode::Buffered,
    });
    Ok(url::Update { auth, invoke_mode, cors })
}

fn texts(
    check: &mut Check,
    cors: &mut Body,
    member: &str,
    count_max: usize,
    rule: &TextRule,
) -> Result<Option<Vec<String>>, Error> {
    let path = cors.path(member);
    let values = cors.texts(member)?;
    if let Some(values) = &values {
        check.list_length(&path, values, 0, count_max);
        for (at, value) in values.iter().enumerate() {
            check.text(&format!("{path}.{}.member", at + 1), value, rule);
        }
    }
    Ok(values)
}

fn shown(functions: &Functions, key: &FunctionKey, qualifier: Option<&str>, url: &UrlRecord) -> Value {
    let FunctionKey { account, region, name } = key;
    let mut answer = json!({
        "FunctionUrl": functions.url_address(key, &url.id),
        "FunctionArn": match qualifier {
            Some(qualifier) => arn::function_qualified(region, account, name, qualifier),
            None => arn::function(region, account, name),
        },
        "AuthType": url.auth,
        "InvokeMode": url.invoke_mode,
        "CreationTime": moment(url.created),
        "LastModifiedTime": moment(url.last_modified),
    });
    if let Some(cors) = &url.cors {
        answer["Cors"] = shown_cors(cors);
    }
    answer
}

fn shown_cors(cors: &CorsRecord) -> Value {
    let members = [
        ("AllowCredentials", json!(cors.allow_credentials)),
        ("AllowHeaders", json!(cors.allow_headers)),
        ("AllowMethods", json!(cors.allow_methods)),
        ("AllowOrigins", json!(cors.allow_origins)),
        ("ExposeHeaders", json!(cors.expose_headers)),
        ("MaxAge", json!(cors.max_age_secs)),
    ];
    members.into_iter().filter(|(_, value)| !value.is_null()).map(|(n, v)| (n.to_owned(), v)).collect()
}

/// `2026-11-20T23:45:01.123000Z`: these times have microseconds.
fn moment(at: lambent_core::time::Timestamp) -> String {
    at.lambda_format().replace("+0000", "000Z")
}
