//! The operation table of the Lambda API, in the reference's order, and the way from a request to an answer.
//!
//! Every operation of the model stands here once with its method and path. One that is not served answers by
//! its name. An operation's file reads its input, checks it, calls the engine and answers.

mod account_settings;
mod aliases;
pub(crate) mod answer;
mod body;
mod check;
mod code_input;
mod concurrency;
mod configuration_input;
mod create_function;
mod delete_function;
mod event_invokes;
mod event_source_mappings;
pub(crate) mod fault;
pub(crate) mod fetch_code;
mod function_urls;
mod get_function;
pub(crate) mod invoke;
mod invoke_streaming;
mod layer_answer;
mod list_functions;
mod page;
mod policy;
mod provisioned;
mod publish_layer_version;
mod publish_version;
mod read_layers;
mod recursion;
mod refusals;
mod rules;
mod tags;
pub(crate) mod target;
mod unset;
mod update_function_code;
mod update_function_configuration;
pub(crate) mod url_call;
mod url_stream;

pub use code_input::CODE_STORAGE_BYTES_MAX;

use bytes::Bytes;
use lambent_core::ports::BoxFuture;
use lambent_wire::route::{Captures, Miss, Table};
use lambent_wire::{Reply, Request, Response};

use crate::Functions;
use crate::error::Error;

type Answers<T> = for<'a> fn(&'a Functions, Call<'a>) -> BoxFuture<'a, Result<T, Error>>;

#[derive(Clone, Copy)]
enum Serve {
    /// Answers whole.
    Whole(Answers<Response>),
    /// May answer while the answer is being made.
    Flowing(Answers<Reply>),
}

/// An operation: where it is found, and what serves it.
pub struct Operation {
    pub name: &'static str,
    pub method: &'static str,
    /// Segments in braces are labels. A query behind `?` must be there as it stands.
    pub path: &'static str,
    serve: Option<Serve>,
}

impl Operation {
    /// Whether the operation is served; one that is not answers by its name.
    pub fn is_served(&self) -> bool {
        self.serve.is_some()
    }

    /// The input members that are refused by name unless they hold their defaults, spelt as the model spells
    /// them: `VpcConfig`, `Code.S3Bucket`. From the very tables that the operation refuses by.
    pub fn refused_members(&self) -> Vec<String> {
        refusals::of(self.name)
    }
}

/// A request that found its operation.
pub(crate) struct Call<'a> {
    pub request: &'a Request,
    pub operation: &'static Operation,
    labels: Captures,
}

impl Call<'_> {
    /// A decoded label of the path.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
    }

    /// That the caller may not do this to that.
    pub fn denied(&self, arn: String) -> Error {
        let action = match self.operation.name {
            "Invoke" | "InvokeWithResponseStream" => "InvokeFunction",
            name => name,
        };
        Error::AccessDenied {
            caller: self.request.caller.principal_arn.clone(),
            action: action.to_owned(),
            arn,
        }
    }
}

macro_rules! operations {
    ($($method:ident $path:literal $name:ident $($serve:path)? $(=> $flowing:path)?;)*) => {
        /// Every operation of the model (2015-03-31).
        pub static OPERATIONS: &[Operation] = &[$(Operation {
            name: stringify!($name),
            method: stringify!($method),
            path: $path,
            serve: operations!(@serve $($serve)? $(=> $flowing)?),
        },)*];
    };
    (@serve) => { None };
    (@serve $serve:path) => { Some(Serve::Whole(|functions, call| Box::pin($serve(functions, call)))) };
    (@serve => $serve:path) => { Some(Serve::Flowing(|functions, call| Box::pin($serve(functions, call)))) };
}

operations! {
    POST "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy" AddLayerVersionPermission;
    POST "/2015-03-31/functions/{FunctionName}/policy" AddPermission policy::add;
    POST "/2025-12-01/durable-executions/{DurableExecutionArn}/checkpoint" CheckpointDurableExecution;
    POST "/2015-03-31/functions/{FunctionName}/aliases" CreateAlias aliases::create;
    POST "/2025-11-30/capacity-providers" CreateCapacityProvider;
    POST "/2020-04-22/code-signing-configs" CreateCodeSigningConfig;
    POST "/2015-03-31/event-source-mappings" CreateEventSourceMapping event_source_mappings::create;
    POST "/2015-03-31/functions" CreateFunction create_function::serve;
    POST "/2021-10-31/functions/{FunctionName}/url" CreateFunctionUrlConfig function_urls::create;
    DELETE "/2015-03-31/functions/{FunctionName}/aliases/{Name}" DeleteAlias aliases::delete;
    DELETE "/2025-11-30/capacity-providers/{CapacityProviderName}" DeleteCapacityProvider;
    DELETE "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}" DeleteCodeSigningConfig;
    DELETE "/2015-03-31/event-source-mappings/{UUID}" DeleteEventSourceMapping event_source_mappings::delete;
    DELETE "/2015-03-31/functions/{FunctionName}" DeleteFunction delete_function::serve;
    DELETE "/2020-06-30/functions/{FunctionName}/code-signing-config" DeleteFunctionCodeSigningConfig;
    DELETE "/2017-10-31/functions/{FunctionName}/concurrency" DeleteFunctionConcurrency concurrency::delete;
    DELETE "/2019-09-25/functions/{FunctionName}/event-invoke-config" DeleteFunctionEventInvokeConfig event_invokes::delete;
    DELETE "/2021-10-31/functions/{FunctionName}/url" DeleteFunctionUrlConfig function_urls::delete;
    DELETE "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}" DeleteLayerVersion read_layers::delete;
    DELETE "/2019-09-30/functions/{FunctionName}/provisioned-concurrency" DeleteProvisionedConcurrencyConfig provisioned::delete;
    GET "/2016-08-19/account-settings" GetAccountSettings account_settings::serve;
    GET "/2015-03-31/functions/{FunctionName}/aliases/{Name}" GetAlias aliases::get;
    GET "/2025-11-30/capacity-providers/{CapacityProviderName}" GetCapacityProvider;
    GET "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}" GetCodeSigningConfig;
    GET "/2025-12-01/durable-executions/{DurableExecutionArn}" GetDurableExecution;
    GET "/2025-12-01/durable-executions/{DurableExecutionArn}/history" GetDurableExecutionHistory;
    GET "/2025-12-01/durable-executions/{DurableExecutionArn}/state" GetDurableExecutionState;
    GET "/2015-03-31/event-source-mappings/{UUID}" GetEventSourceMapping event_source_mappings::get;
    GET "/2015-03-31/functions/{FunctionName}" GetFunction get_function::function;
    GET "/2020-06-30/functions/{FunctionName}/code-signing-config" GetFunctionCodeSigningConfig unset::code_signing;
    GET "/2019-09-30/functions/{FunctionName}/concurrency" GetFunctionConcurrency concurrency::get;
    GET "/2015-03-31/functions/{FunctionName}/configuration" GetFunctionConfiguration get_function::configuration;
    GET "/2019-09-25/functions/{FunctionName}/event-invoke-config" GetFunctionEventInvokeConfig event_invokes::get;
    GET "/2024-08-31/functions/{FunctionName}/recursion-config" GetFunctionRecursionConfig recursion::get;
    GET "/2025-11-30/functions/{FunctionName}/function-scaling-config" GetFunctionScalingConfig;
    GET "/2021-10-31/functions/{FunctionName}/url" GetFunctionUrlConfig function_urls::get;
    GET "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}" GetLayerVersion read_layers::get;
    GET "/2018-10-31/layers?find=LayerVersion" GetLayerVersionByArn read_layers::get_by_arn;
    GET "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy" GetLayerVersionPolicy;
    GET "/2015-03-31/functions/{FunctionName}/policy" GetPolicy policy::get;
    GET "/2019-09-30/functions/{FunctionName}/provisioned-concurrency" GetProvisionedConcurrencyConfig provisioned::get;
    GET "/2021-07-20/functions/{FunctionName}/runtime-management-config" GetRuntimeManagementConfig;
    POST "/2015-03-31/functions/{FunctionName}/invocations" Invoke invoke::serve;
    POST "/2014-11-13/functions/{FunctionName}/invoke-async" InvokeAsync;
    POST "/2021-11-15/functions/{FunctionName}/response-streaming-invocations" InvokeWithResponseStream => invoke_streaming::serve;
    GET "/2015-03-31/functions/{FunctionName}/aliases" ListAliases aliases::list;
    GET "/2025-11-30/capacity-providers" ListCapacityProviders;
    GET "/2020-04-22/code-signing-configs" ListCodeSigningConfigs unset::code_signing_configs;
    GET "/2025-12-01/functions/{FunctionName}/durable-executions" ListDurableExecutionsByFunction;
    GET "/2015-03-31/event-source-mappings" ListEventSourceMappings event_source_mappings::list;
    GET "/2019-09-25/functions/{FunctionName}/event-invoke-config/list" ListFunctionEventInvokeConfigs event_invokes::list;
    GET "/2021-10-31/functions/{FunctionName}/urls" ListFunctionUrlConfigs function_urls::list;
    GET "/2025-11-30/capacity-providers/{CapacityProviderName}/function-versions" ListFunctionVersionsByCapacityProvider;
    GET "/2015-03-31/functions" ListFunctions list_functions::functions;
    GET "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}/functions" ListFunctionsByCodeSigningConfig;
    GET "/2018-10-31/layers/{LayerName}/versions" ListLayerVersions read_layers::list_versions;
    GET "/2018-10-31/layers" ListLayers read_layers::list;
    GET "/2019-09-30/functions/{FunctionName}/provisioned-concurrency?List=ALL" ListProvisionedConcurrencyConfigs provisioned::list;
    GET "/2017-03-31/tags/{Resource}" ListTags tags::list;
    GET "/2015-03-31/functions/{FunctionName}/versions" ListVersionsByFunction list_functions::versions;
    POST "/2018-10-31/layers/{LayerName}/versions" PublishLayerVersion publish_layer_version::serve;
    POST "/2015-03-31/functions/{FunctionName}/versions" PublishVersion publish_version::serve;
    PUT "/2020-06-30/functions/{FunctionName}/code-signing-config" PutFunctionCodeSigningConfig;
    PUT "/2017-10-31/functions/{FunctionName}/concurrency" PutFunctionConcurrency concurrency::put;
    PUT "/2019-09-25/functions/{FunctionName}/event-invoke-config" PutFunctionEventInvokeConfig event_invokes::put;
    PUT "/2024-08-31/functions/{FunctionName}/recursion-config" PutFunctionRecursionConfig recursion::put;
    PUT "/2025-11-30/functions/{FunctionName}/function-scaling-config" PutFunctionScalingConfig;
    PUT "/2019-09-30/functions/{FunctionName}/provisioned-concurrency" PutProvisionedConcurrencyConfig provisioned::put;
    PUT "/2021-07-20/functions/{FunctionName}/runtime-management-config" PutRuntimeManagementConfig;
    DELETE "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy/{StatementId}" RemoveLayerVersionPermission;
    DELETE "/2015-03-31/functions/{FunctionName}/policy/{StatementId}" RemovePermission policy::remove;
    POST "/2025-12-01/durable-execution-callbacks/{CallbackId}/fail" SendDurableExecutionCallbackFailure;
    POST "/2025-12-01/durable-execution-callbacks/{CallbackId}/heartbeat" SendDurableExecutionCallbackHeartbeat;
    POST "/2025-12-01/durable-execution-callbacks/{CallbackId}/succeed" SendDurableExecutionCallbackSuccess;
    POST "/2025-12-01/durable-executions/{DurableExecutionArn}/stop" StopDurableExecution;
    POST "/2017-03-31/tags/{Resource}" TagResource tags::add;
    DELETE "/2017-03-31/tags/{Resource}" UntagResource tags::remove;
    PUT "/2015-03-31/functions/{FunctionName}/aliases/{Name}" UpdateAlias aliases::update;
    PUT "/2025-11-30/capacity-providers/{CapacityProviderName}" UpdateCapacityProvider;
    PUT "/2020-04-22/code-signing-configs/{CodeSigningConfigArn}" UpdateCodeSigningConfig;
    PUT "/2015-03-31/event-source-mappings/{UUID}" UpdateEventSourceMapping event_source_mappings::update;
    PUT "/2015-03-31/functions/{FunctionName}/code" UpdateFunctionCode update_function_code::serve;
    PUT "/2015-03-31/functions/{FunctionName}/configuration" UpdateFunctionConfiguration update_function_configuration::serve;
    POST "/2019-09-25/functions/{FunctionName}/event-invoke-config" UpdateFunctionEventInvokeConfig event_invokes::update;
    PUT "/2021-10-31/functions/{FunctionName}/url" UpdateFunctionUrlConfig function_urls::update;
}

/// The table by which requests are routed.
pub(crate) fn table() -> Table<&'static Operation> {
    Table::new(OPERATIONS.iter().map(|operation| (operation.method, operation.path, operation)))
}

/// The operation that a request asks for.
pub(crate) fn find<'a>(table: &Table<&'static Operation>, request: &'a Request) -> Result<Call<'a>, Miss> {
    let found = table.find(&request.method, &request.path, &request.query)?;
    Ok(Call { request, operation: found.operation, labels: found.into_captures() })
}

/// Has the operation serve the request.
pub(crate) async fn serve(functions: &Functions, call: Call<'_>) -> Result<Reply, Error> {
    match call.operation.serve {
        Some(Serve::Whole(serve)) => serve(functions, call).await.map(Reply::Whole),
        Some(Serve::Flowing(serve)) => serve(functions, call).await,
        None => Err(Error::UnsupportedOperation { operation: call.operation.name }),
    }
}

/// An answer that is only a status.
fn empty(status: u16) -> Response {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() =
        http::StatusCode::from_u16(status).expect("the statuses of this crate are constants in range");
    response
}
