package lambent.runtime;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * The Lambda Runtime API, version 2018-06-01, over one kept-alive TCP connection. Own HTTP/1.1: the platform's
 * client takes longer to load than everything else here. One write for each request.
 */
final class Api {
    private static final String BASE = "/2018-06-01/runtime/";
    /**
     * The second one asks the node to answer with the next event: one exchange for each call instead of two. Another
     * server doesn't know it and answers as ever.
     */
    private static final String RESPONSE_HEADERS = "Content-Type: application/json\r\nLambent-Then: next\r\n";
    private static final String ERROR_TYPE = "Lambda-Runtime-Function-Error-Type: ";
    private static final String STREAM_HEADERS = "Content-Type: application/octet-stream\r\n"
            + "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
            + "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n"
            + "Transfer-Encoding: chunked\r\nLambent-Then: next\r\n";
    private static final byte[] END_OF_LINE = {'\r', '\n'};
    private static final int READ_BYTES = 65536;

    static final class Call {
        final int status;
        final Map<String, String> headers;
        final byte[] body;

        Call(int status, Map<String, String> headers, byte[] body) {
            this.status = status;
            this.headers = headers;
            this.body = body;
        }

        String header(String name) {
            return headers.get(name);
        }
    }

    private final String address;
    private Socket socket;
    private final byte[] buffer = new byte[READ_BYTES];
    private int from;
    private int to;

    Api(String address) {
        this.address = address;
    }

    /** Waits for the next invocation. */
    Call next() throws IOException {
        return checked(exchange("GET", "invocation/next", "", new byte[0]));
    }

    /**
     * Answers an invocation and waits for the next one. An answer that was refused, or did not get through, has had
     * its say.
     */
    Call sendThenNext(byte[] response) throws IOException {
        Call call;
        try {
            call = send(response);
        } catch (IOException error) {
            return next();
        }
        return call.status == 200 ? call : next();
    }

    /** An answer, whole, for {@link #sendThenNext}. */
    byte[] response(String id, byte[] body) {
        return request("POST", "invocation/" + id + "/response", RESPONSE_HEADERS, body);
    }

    /** Begins an answer that is sent in pieces, with the first of them. */
    void beginStream(String id, byte[] piece) throws IOException {
        byte[] head = head("POST", "invocation/" + id + "/response", STREAM_HEADERS);
        connect();
        socket.getOutputStream().write(joined(head, chunk(piece)));
    }

    void piece(byte[] piece) throws IOException {
        socket.getOutputStream().write(chunk(piece));
    }

    /** Ends such an answer, with the error that broke it off if there is one. */
    void endStream(Fault fault) throws IOException {
        String trailers = "";
        if (fault != null) {
            String document = Base64.getEncoder().encodeToString(Json.write(fault.report()));
            trailers = ERROR_TYPE + printable(fault.type()) + "\r\nLambda-Runtime-Function-Error-Body: " + document + "\r\n";
        }
        socket.getOutputStream().write(("0\r\n" + trailers + "\r\n").getBytes(StandardCharsets.UTF_8));
    }

    /** Waits for the next invocation behind the end of such an answer. */
    Call afterStream() throws IOException {
        Call call = receive();
        return call.status == 200 ? call : next();
    }

    private static byte[] chunk(byte[] piece) {
        byte[] size = (Integer.toHexString(piece.length) + "\r\n").getBytes(StandardCharsets.UTF_8);
        return joined(joined(size, piece), END_OF_LINE);
    }

    private static Call checked(Call call) throws IOException {
        if (call.status != 200) {
            throw new IOException("Failed to get next invocation. Http Response code: " + call.status);
        }
        return call;
    }

    void error(String id, String type, byte[] body) throws IOException {
        exchange("POST", "invocation/" + id + "/error", errorHeaders(type), body);
    }

    void initError(String type, byte[] body) throws IOException {
        exchange("POST", "init/error", errorHeaders(type), body);
    }

    private static String errorHeaders(String type) {
        return "Content-Type: application/vnd.aws.lambda.error+json\r\n" + ERROR_TYPE + printable(type) + "\r\n";
    }

    private static String printable(String type) {
        StringBuilder clean = new StringBuilder();
        for (int i = 0; i < type.length(); i++) {
            char c = type.charAt(i);
            clean.append(c > ' ' && c < 0x7f ? c : '_');
        }
        return clean.toString();
    }

    private Call exchange(String method, String path, String headers, byte[] body) throws IOException {
        return send(request(method, path, headers, body));
    }

    private byte[] request(String method, String path, String headers, byte[] body) {
        String length = method.equals("GET") ? "" : "Content-Length: " + body.length + "\r\n";
        return joined(head(method, path, headers + length), body);
    }

    private byte[] head(String method, String path, String headers) {
        return (method + " " + BASE + path + " HTTP/1.1\r\nHost: " + address
                + "\r\nUser-Agent: aws-lambda-java/" + System.getProperty("java.version") + "-lambent\r\n"
                + headers + "\r\n").getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] joined(byte[] first, byte[] second) {
        byte[] both = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        return both;
    }

    private Call send(byte[] request) throws IOException {
        boolean isFresh = socket == null;
        try {
            connect();
            socket.getOutputStream().write(request);
            return receive();
        } catch (IOException error) {
            // An idle kept-alive connection may have been closed by the other side; a fresh one says more.
            close();
            if (isFresh) {
                throw error;
            }
            connect();
            socket.getOutputStream().write(request);
            return receive();
        }
    }

    /** Also ahead of the first exchange: the node tells from it how long the runtime took to be there. */
    void connect() throws IOException {
        if (socket != null) {
            return;
        }
        int colon = address.lastIndexOf(':');
        socket = new Socket();
        socket.setTcpNoDelay(true);
        InetAddress host = InetAddress.getByName(address.substring(0, colon));
        socket.connect(new InetSocketAddress(host, Integer.parseInt(address.substring(colon + 1))));
        from = to = 0;
    }

    void close() {
        try {
            if (socket != null) {
                socket.close();
            }
        } catch (IOException ignored) {
            // It is given up in any case.
        }
        socket = null;
    }

    private Call receive() throws IOException {
        String status = line();
        Map<String, String> headers = new HashMap<>();
        for (String line = line(); !line.isEmpty(); line = line()) {
            int colon = line.indexOf(':');
            headers.put(line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).trim());
        }
        byte[] body;
        if ("chunked".equalsIgnoreCase(headers.get("transfer-encoding"))) {
            body = chunks();
        } else {
            String length = headers.get("content-length");
            body = exactly(length == null ? 0 : Integer.parseInt(length));
        }
        if ("close".equalsIgnoreCase(headers.get("connection"))) {
            close();
        }
        return new Call(Integer.parseInt(status.substring(9, 12)), headers, body);
    }

    private byte[] chunks() throws IOException {
        byte[] body = new byte[0];
        while (true) {
            String size = line();
            int semicolon = size.indexOf(';');
            int length = Integer.parseInt(semicolon < 0 ? size : size.substring(0, semicolon), 16);
            byte[] chunk = exactly(length);
            line();
            if (length == 0) {
                return body;
            }
            int have = body.length;
            body = Arrays.copyOf(body, have + length);
            System.arraycopy(chunk, 0, body, have, length);
        }
    }

    private String line() throws IOException {
        byte[] line = new byte[256];
        int length = 0;
        while (true) {
            if (from == to) {
                fill();
            }
            byte next = buffer[from++];
            if (next == '\n') {
                int end = length > 0 && line[length - 1] == '\r' ? length - 1 : length;
                return new String(line, 0, end, StandardCharsets.UTF_8);
            }
            if (length == line.length) {
                line = Arrays.copyOf(line, length * 2);
            }
            line[length++] = next;
        }
    }

    private byte[] exactly(int length) throws IOException {
        byte[] body = new byte[length];
        int have = Math.min(length, to - from);
        System.arraycopy(buffer, from, body, 0, have);
        from += have;
        InputStream input = socket.getInputStream();
        while (have < length) {
            int count = input.read(body, have, length - have);
            if (count < 0) {
                throw new EOFException("the Runtime API closed the connection");
            }
            have += count;
        }
        return body;
    }

    private void fill() throws IOException {
        int count = socket.getInputStream().read(buffer, 0, buffer.length);
        if (count < 0) {
            throw new EOFException("the Runtime API closed the connection");
        }
        from = 0;
        to = count;
    }
}
