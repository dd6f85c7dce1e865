package lambent.runtime;

import com.amazonaws.services.lambda.runtime.Client;
import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.CognitoIdentity;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import java.util.LinkedHashMap;
import java.util.Map;

/** What a handler may ask about its call. */
final class CallContext implements Context {
    private final Api.Call call;
    private final LambdaLogger logger;
    private final Map<?, ?> client;
    private final Map<?, ?> identity;

    CallContext(Api.Call call, LambdaLogger logger) {
        this.call = call;
        this.logger = logger;
        this.client = object(call.header("lambda-runtime-client-context"));
        this.identity = object(call.header("lambda-runtime-cognito-identity"));
    }

    @Override
    public String getAwsRequestId() {
        return call.header("lambda-runtime-aws-request-id");
    }

    @Override
    public String getLogGroupName() {
        return System.getenv("AWS_LAMBDA_LOG_GROUP_NAME");
    }

    @Override
    public String getLogStreamName() {
        return System.getenv("AWS_LAMBDA_LOG_STREAM_NAME");
    }

    @Override
    public String getFunctionName() {
        return System.getenv("AWS_LAMBDA_FUNCTION_NAME");
    }

    @Override
    public String getFunctionVersion() {
        return System.getenv("AWS_LAMBDA_FUNCTION_VERSION");
    }

    @Override
    public String getInvokedFunctionArn() {
        return call.header("lambda-runtime-invoked-function-arn");
    }

    @Override
    public String getTenantId() {
        return call.header("lambda-runtime-aws-tenant-id");
    }

    @Override
    public String getXrayTraceId() {
        return call.header("lambda-runtime-trace-id");
    }

    @Override
    public int getRemainingTimeInMillis() {
        String deadline = call.header("lambda-runtime-deadline-ms");
        long left = (deadline == null ? 0 : Long.parseLong(deadline)) - System.currentTimeMillis();
        return (int) Math.max(0, Math.min(left, Integer.MAX_VALUE));
    }

    @Override
    public int getMemoryLimitInMB() {
        String size = System.getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
        return size == null ? 128 : Integer.parseInt(size);
    }

    @Override
    public LambdaLogger getLogger() {
        return logger;
    }

    @Override
    public CognitoIdentity getIdentity() {
        Map<?, ?> source = identity == null ? Map.of() : identity;
        return new CognitoIdentity() {
            @Override
            public String getIdentityId() {
                return text(source, "cognitoIdentityId");
            }

            @Override
            public String getIdentityPoolId() {
                return text(source, "cognitoIdentityPoolId");
            }
        };
    }

    @Override
    public ClientContext getClientContext() {
        if (client == null) {
            return null;
        }
        return new ClientContext() {
            @Override
            public Client getClient() {
                Object source = client.get("client");
                return source instanceof Map ? new CallClient((Map<?, ?>) source) : null;
            }

            @Override
            public Map<String, String> getCustom() {
                return texts(client.get("custom"));
            }

            @Override
            public Map<String, String> getEnvironment() {
                return texts(client.get("env"));
            }
        };
    }

    private static final class CallClient implements Client {
        private final Map<?, ?> source;

        CallClient(Map<?, ?> source) {
            this.source = source;
        }

        @Override
        public String getInstallationId() {
            return text(source, "installation_id");
        }

        @Override
        public String getAppTitle() {
            return text(source, "app_title");
        }

        @Override
        public String getAppVersionName() {
            return text(source, "app_version_name");
        }

        @Override
        public String getAppVersionCode() {
            return text(source, "app_version_code");
        }

        @Override
        public String getAppPackageName() {
            return text(source, "app_package_name");
        }
    }

    private static Map<?, ?> object(String json) {
        Object value = json == null || json.isEmpty() ? null : Json.read(json);
        return value instanceof Map ? (Map<?, ?>) value : null;
    }

    private static String text(Map<?, ?> source, String name) {
        Object value = source.get(name);
        return value == null ? null : value.toString();
    }

    private static Map<String, String> texts(Object source) {
        if (!(source instanceof Map)) {
            return null;
        }
        Map<String, String> texts = new LinkedHashMap<>();
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) source).entrySet()) {
            Object value = entry.getValue();
            texts.put(entry.getKey().toString(), value == null ? null : value.toString());
        }
        return texts;
    }
}
