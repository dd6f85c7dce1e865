package lambent.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a waiting client does before it waits: it loads handlers of each form and serves calls to them, against a
 * Runtime API of its own on the loopback device, so that the classes of the first call are loaded, linked and warm.
 *
 * <p>Leaves nothing behind but that: no thread, no socket, no line of output. A rehearsal that fails costs the first
 * call some milliseconds and is no failure of the client.
 */
final class Rehearsal {
    /** Enough for the quick compiler to have compiled what a call runs often. */
    private static final int CALLS = 300;
    private static final String EVENT = "{\"a\": [1, 2.5, \"b\\u00e9\", null, true], \"key\": {\"n\": -1e3}}";

    private Rehearsal() {}

    /** The usual form. What it calls is what most handlers do. */
    public static final class Mapping implements RequestHandler<Map<String, Object>, Map<String, Object>> {
        @Override
        public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
            Map<String, Object> answer = new LinkedHashMap<>();
            answer.put("statusCode", 200);
            answer.put("text", "n" + event.size() + context.getRemainingTimeInMillis());
            answer.put("sizes", List.of(1, 2).stream().map(n -> n + 1).count());
            answer.put("event", event);
            answer.put("of", String.format("%s %d", context.getAwsRequestId(), context.getMemoryLimitInMB()));
            return answer;
        }
    }

    public static final class Piping implements RequestStreamHandler {
        @Override
        public void handleRequest(InputStream input, OutputStream output, Context context) throws IOException {
            output.write(input.readAllBytes());
        }
    }

    public static class Plain {
        public static final class Bean {
            private String key;

            public String getKey() {
                return key;
            }

            public void setKey(String key) {
                this.key = key;
            }
        }

        public Bean bean(Bean bean, Context context) {
            return bean;
        }

        // The other forms of a method: newer machines generate code for each, once, which takes longer than the rest
        // of a first call.

        public Object one(Map<String, Object> event) {
            return event;
        }

        public Object none() {
            return null;
        }

        public void silent(Map<String, Object> event) {}

        public void silentWithContext(Map<String, Object> event, Context context) {}

        public static Object fixed(Map<String, Object> event) {
            return event;
        }

        public static Object fixedWithContext(Map<String, Object> event, Context context) {
            return event;
        }

        public void pipe(InputStream input, OutputStream output, Context context) throws IOException {
            output.write(input.readAllBytes());
        }
    }

    /** Methods that nothing can override are called by code of their own. */
    public static final class Final {
        public Object one(Map<String, Object> event) {
            return event;
        }

        public Object two(Map<String, Object> event, Context context) {
            return event;
        }
    }

    private static final String[] METHODS = {
        "Plain::bean", "Plain::one", "Plain::none", "Plain::silent", "Plain::silentWithContext", "Plain::fixed",
        "Plain::fixedWithContext", "Plain::pipe", "Final::one", "Final::two",
    };

    /** Answers every request with an event, and closes with its first connection. */
    private static final class FalseApi extends Thread {
        private static final byte[] ANSWER = ("HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: r\r\n"
                + "lambda-runtime-deadline-ms: 9999999999999\r\nlambda-runtime-trace-id: Root=1-1\r\n"
                + "content-length: " + EVENT.length() + "\r\n\r\n" + EVENT).getBytes(StandardCharsets.US_ASCII);
        private final ServerSocket listener;

        FalseApi(ServerSocket listener) {
            super("rehearsal");
            this.listener = listener;
            setDaemon(true);
        }

        @Override
        public void run() {
            try (Socket socket = listener.accept()) {
                byte[] request = new byte[65536];
                // A request of this rehearsal is one write.
                while (socket.getInputStream().read(request) > 0) {
                    socket.getOutputStream().write(ANSWER);
                }
            } catch (IOException ignored) {
                // The other side notices.
            }
        }
    }

    static void run() {
        try (ServerSocket listener = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            FalseApi server = new FalseApi(listener);
            server.start();
            Api api = new Api("127.0.0.1:" + listener.getLocalPort());
            serve(api);
            api.close();
            server.join();
        } catch (Throwable ignored) {
            // Said above.
        }
        System.clearProperty(Main.TRACE_PROPERTY);
    }

    private static void serve(Api api) throws Throwable {
        String own = Rehearsal.class.getName();
        Logger logger = Logger.silent();
        Api.Call call = Main.serve(api, Handlers.load(own + "$Piping"), api.next(), logger);
        for (String method : METHODS) {
            call = Main.serve(api, Handlers.load(own + "$" + method), call, logger);
        }
        Handlers.Handler usual = Handlers.load(own + "$Mapping");
        for (int i = 0; i < CALLS; i++) {
            call = Main.serve(api, usual, call, logger);
        }
        // Also once through the way of an error.
        Fault fault = Fault.of(new IllegalStateException("rehearsed"));
        fault.logged();
        Json.write(fault.report());
    }
}
