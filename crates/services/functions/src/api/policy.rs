//! AddPermission, RemovePermission and GetPolicy.

use lambent_store::functions::StatementRecord;
use lambent_wire::{Response, json_response};
use serde_json::json;

use super::body::Body;
use super::check::{ANY, Check};
use super::{Call, empty, rules, target};
use crate::Functions;
use crate::engine::policy;
use crate::error::Error;

pub async fn add(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read(&call)?;
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let statement = StatementRecord {
        id: body.required_text(&mut check, "StatementId", &rules::STATEMENT_ID)?,
        action: body.required_text(&mut check, "Action", &rules::ACTION)?,
        principal: body.required_text(&mut check, "Principal", &rules::PRINCIPAL)?,
        source_arn: body.text(&mut check, "SourceArn", &rules::SOURCE_ARN)?,
        source_account: body.text(&mut check, "SourceAccount", &rules::SOURCE_ACCOUNT)?,
        event_source_token: body.text(&mut check, "EventSourceToken", &rules::EVENT_SOURCE_TOKEN)?,
        principal_org_id: body.text(&mut check, "PrincipalOrgID", &rules::PRINCIPAL_ORG_ID)?,
        function_url_auth_type: body.choice(&mut check, "FunctionUrlAuthType", &["NONE", "AWS_IAM"])?,
        invoked_via_function_url: body.flag("InvokedViaFunctionUrl")?,
    };
    let expected = body.text(&mut check, "RevisionId", &ANY)?;
    check.finish()?;

    let qualifier = target.qualifier.as_deref();
    let revision = functions.stamp().revision;
    functions
        .change(&target, |record| {
            let changed =
                policy::add(record, qualifier, statement.clone(), expected.as_deref(), revision.clone())?;
            let document = policy::statement(record, qualifier, &statement);
            Ok((Some(changed), json_response(201, &json!({ "Statement": document }))))
        })
        .await
}

pub async fn remove(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read(&call)?;
    let id = call.label("StatementId");
    let mut check = Check::default();
    check.text("statementId", id, &rules::STATEMENT_ID_TO_REMOVE);
    check.finish()?;
    let expected = call.request.query_value("RevisionId");
    let revision = functions.stamp().revision;
    functions
        .change(&target, |record| {
            let qualifier = target.qualifier.as_deref();
            Ok((Some(policy::remove(record, qualifier, id, expected, revision.clone())?), ()))
        })
        .await?;
    Ok(empty(204))
}

pub async fn get(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read(&call)?;
    let record = functions.record(&target)?;
    let qualifier = target.qualifier.as_deref();
    let found = policy::find(&record, qualifier)?;
    let document = policy::document(&record, qualifier, found);
    Ok(json_response(200, &json!({ "Policy": document, "RevisionId": found.revision.as_str() })))
}
