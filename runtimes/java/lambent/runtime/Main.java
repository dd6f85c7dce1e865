package lambent.runtime;

import com.amazonaws.services.lambda.runtime.LambdaRuntimeInternal;
import java.io.ByteArrayInputStream;
import java.io.IOError;
import java.lang.reflect.InvocationTargetException;

/**
 * The Lambda Runtime API client for Java functions: loads the handler, then answers invocations until the
 * process ends.
 *
 * <p>Not here: HTTP ({@link Api}), JSON ({@link Json}, {@link Binder}), the forms of handlers ({@link
 * Handlers}), log lines ({@link Logger}).
 *
 * <p>No dependency, no lambda expressions and no regular expressions on the way to the first call: each of
 * them costs milliseconds of class loading.
 */
public final class Main {
    private Main() {}

    /** Where libraries that follow calls look for the running one's. */
    static final String TRACE_PROPERTY = "com.amazonaws.xray.traceHeader";

    public static void main(String[] arguments) throws Exception {
        Parked.await();
        Api api = new Api(System.getenv("AWS_LAMBDA_RUNTIME_API"));
        Logger logger = Logger.ofEnvironment();
        LambdaRuntimeInternal.logger = logger;
        Handlers.Handler handler;
        try {
            String name = System.getenv("_HANDLER");
            api.connect();
            handler = Handlers.load(name == null ? "" : name);
        } catch (Throwable error) {
            Fault fault = Fault.of(unwrapped(error));
            logger.logError(fault.logged());
            api.initError(fault.type(), Json.write(fault.report()));
            exit(1);
            return;
        }
        Api.Call call = api.next();
        while (call != null) {
            call = serve(api, handler, call, logger);
        }
        exit(1);
    }

    /** The next call; null when the virtual machine is not to go on. */
    static Api.Call serve(Api api, Handlers.Handler handler, Api.Call call, Logger logger) throws Exception {
        String id = call.header("lambda-runtime-aws-request-id");
        logger.setRequest(id, call.header("lambda-runtime-aws-tenant-id"));
        String trace = call.header("lambda-runtime-trace-id");
        if (trace == null) {
            System.clearProperty(TRACE_PROPERTY);
        } else {
            System.setProperty(TRACE_PROPERTY, trace);
        }
        Streaming answer = new Streaming(api, call);
        byte[] response;
        try {
            handler.handle(new ByteArrayInputStream(call.body), answer, new CallContext(call, logger));
            flush();
            if (answer.isBegun()) {
                return answer.endThenNext(null);
            }
            response = api.response(id, answer.whole());
        } catch (Throwable thrown) {
            Throwable error = unwrapped(thrown);
            flush();
            Fault fault = Fault.of(error);
            logger.logError(fault.logged());
            // What such an error left behind is not to be trusted with another call.
            boolean isFatal = error instanceof VirtualMachineError || error instanceof IOError;
            if (answer.isBegun()) {
                return isFatal ? answer.endForGood(fault) : answer.endThenNext(fault);
            }
            api.error(id, fault.type(), Json.write(fault.report()));
            return isFatal ? null : api.next();
        }
        return api.sendThenNext(response);
    }

    private static Throwable unwrapped(Throwable error) {
        boolean isWrapper = error instanceof InvocationTargetException || error instanceof ExceptionInInitializerError;
        return isWrapper && error.getCause() != null ? error.getCause() : error;
    }

    private static void flush() {
        System.out.flush();
        System.err.flush();
    }

    private static void exit(int code) {
        flush();
        System.exit(code);
    }
}
