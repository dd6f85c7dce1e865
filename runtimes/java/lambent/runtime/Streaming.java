package lambent.runtime;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;

/**
 * What a handler writes its answer to. Where the caller takes the answer in pieces, what has been written leaves with
 * each {@link #flush} and with each full buffer; otherwise, and until the first of these, it stays here as the whole
 * answer.
 *
 * <p>An extension of this node: the reference's Java runtime sends every answer whole.
 */
final class Streaming extends OutputStream {
    /** As large as a socket's buffer takes at once; a larger piece saves nothing. */
    private static final int PIECE_BYTES = 65536;

    private final Api api;
    private final String id;
    private final boolean isWanted;
    private final ByteArrayOutputStream held = new ByteArrayOutputStream();
    private boolean isBegun;
    /** The connection's own failure, to tell it from one of the function's. */
    private IOException broken;

    Streaming(Api api, Api.Call call) {
        this.api = api;
        this.id = call.header("lambda-runtime-aws-request-id");
        this.isWanted = "streaming".equals(call.header("lambent-response-mode"));
    }

    @Override
    public void write(int value) throws IOException {
        held.write(value);
        sendWhenFull();
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
        held.write(bytes, from, length);
        sendWhenFull();
    }

    private void sendWhenFull() throws IOException {
        if (isWanted && held.size() >= PIECE_BYTES) {
            flush();
        }
    }

    @Override
    public void flush() throws IOException {
        if (!isWanted || held.size() == 0) {
            return;
        }
        if (broken != null) {
            throw broken;
        }
        try {
            if (isBegun) {
                api.piece(held.toByteArray());
            } else {
                isBegun = true;
                api.beginStream(id, held.toByteArray());
            }
        } catch (IOException error) {
            broken = error;
            throw error;
        }
        held.reset();
    }

    /** Whether pieces have left; what is held then is the last of them. */
    boolean isBegun() {
        return isBegun;
    }

    /** The whole answer, where nothing has left yet. */
    byte[] whole() {
        return held.toByteArray();
    }

    /** Ends a begun answer, with the error that broke it off if there is one, and waits for the next call. */
    Api.Call endThenNext(Fault fault) throws IOException {
        try {
            flush();
            api.endStream(fault);
            return api.afterStream();
        } catch (IOException error) {
            // Refused half-way, because it is too large or nobody takes it any more.
            api.close();
            return api.next();
        }
    }

    /** As {@link #endThenNext}, for a process that takes no further call: null. */
    Api.Call endForGood(Fault fault) {
        try {
            flush();
            api.endStream(fault);
        } catch (IOException error) {
            // The process's end tells as much.
        }
        api.close();
        return null;
    }
}
