//! Operations of the service model that are not served, and members of served ones: each is refused by its name.

/// The operations that are not served.
#[rustfmt::skip]
pub const UNSERVED: [&str; 96] = [
    "AssociateKmsKey", "AssociateSourceToS3TableIntegration", "CancelExportTask", "CancelImportTask",
    "CreateDelivery", "CreateExportTask", "CreateImportTask", "CreateLogAnomalyDetector", "CreateLookupTable",
    "CreateScheduledQuery", "DeleteAccountPolicy", "DeleteDataProtectionPolicy", "DeleteDelivery",
    "DeleteDeliveryDestination", "DeleteDeliveryDestinationPolicy", "DeleteDeliverySource",
    "DeleteDestination", "DeleteIndexPolicy", "DeleteIntegration", "DeleteLogAnomalyDetector",
    "DeleteLookupTable", "DeleteMetricFilter", "DeleteQueryDefinition", "DeleteResourcePolicy",
    "DeleteScheduledQuery", "DeleteSubscriptionFilter", "DeleteTransformer", "DescribeAccountPolicies",
    "DescribeConfigurationTemplates", "DescribeDeliveries", "DescribeDeliveryDestinations",
    "DescribeDeliverySources", "DescribeDestinations", "DescribeExportTasks", "DescribeFieldIndexes",
    "DescribeImportTaskBatches", "DescribeImportTasks", "DescribeIndexPolicies", "DescribeLookupTables",
    "DescribeMetricFilters", "DescribeQueries", "DescribeQueryDefinitions", "DescribeResourcePolicies",
    "DescribeSubscriptionFilters", "DisassociateKmsKey", "DisassociateSourceFromS3TableIntegration",
    "GetDataProtectionPolicy", "GetDelivery", "GetDeliveryDestination", "GetDeliveryDestinationPolicy",
    "GetDeliverySource", "GetIntegration", "GetLogAnomalyDetector", "GetLogFields", "GetLogGroupFields",
    "GetLogObject", "GetLogRecord", "GetLookupTable", "GetQueryResults", "GetScheduledQuery",
    "GetScheduledQueryHistory", "GetTransformer", "ListAggregateLogGroupSummaries", "ListAnomalies",
    "ListIntegrations", "ListLogAnomalyDetectors", "ListLogGroups", "ListLogGroupsForQuery",
    "ListScheduledQueries", "ListSourcesForS3TableIntegration", "PutAccountPolicy",
    "PutBearerTokenAuthentication", "PutDataProtectionPolicy", "PutDeliveryDestination",
    "PutDeliveryDestinationPolicy", "PutDeliverySource", "PutDestination", "PutDestinationPolicy",
    "PutIndexPolicy", "PutIntegration", "PutLogGroupDeletionProtection", "PutMetricFilter",
    "PutQueryDefinition", "PutResourcePolicy", "PutSubscriptionFilter", "PutTransformer", "StartLiveTail",
    "StartQuery", "StopQuery", "TestMetricFilter", "TestTransformer", "UpdateAnomaly",
    "UpdateDeliveryConfiguration", "UpdateLogAnomalyDetector", "UpdateLookupTable", "UpdateScheduledQuery",
];

/// Operations and their members that are not served at any value. Nothing refuses by this list: a member that no
/// operation reads is refused in any case. It says which those are, and a test holds it against the model.
pub const REFUSED_MEMBERS: [(&str, &str); 2] =
    [("CreateLogGroup", "kmsKeyId"), ("DescribeLogGroups", "accountIdentifiers")];
