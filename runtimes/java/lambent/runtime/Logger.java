package lambent.runtime;

import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.reflect.Constructor;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The function's logger: one frame an event, so that the lines of one message stay together.
 *
 * <p>A frame is 4 bytes type, 4 bytes length, 8 bytes microseconds, message, big-endian. The type says text or
 * JSON in its lowest bit and the level in the bits above.
 */
final class Logger implements LambdaLogger {
    private static final int FRAME_TEXT = 0xa55a0003;
    private static final int FRAME_JSON = 0xa55a0002;
    private static final int HEAD_BYTES = 16;

    private final OutputStream frames;
    private final boolean isJson;
    private final LogLevel least;
    private volatile String requestId;
    private volatile String tenantId;

    private Logger(OutputStream frames, boolean isJson, LogLevel least) {
        this.frames = frames;
        this.isJson = isJson;
        this.least = least;
    }

    static Logger ofEnvironment() {
        String fd = System.getenv("_LAMBDA_TELEMETRY_LOG_FD");
        LogLevel least = LogLevel.UNDEFINED;
        String level = System.getenv("AWS_LAMBDA_LOG_LEVEL");
        if (level != null) {
            try {
                least = LogLevel.fromString(level);
            } catch (IllegalArgumentException ignored) {
                // Without a known level everything is kept.
            }
        }
        boolean isJson = "JSON".equalsIgnoreCase(System.getenv("AWS_LAMBDA_LOG_FORMAT"));
        return new Logger(fd == null ? null : open(Integer.parseInt(fd)), isJson, least);
    }

    /** For rehearsals. */
    static Logger silent() {
        return new Logger(OutputStream.nullOutputStream(), false, LogLevel.UNDEFINED);
    }

    /** Not through /proc: a descriptor may be written by who could not open its file. */
    private static OutputStream open(int number) {
        try {
            Constructor<FileDescriptor> constructor = FileDescriptor.class.getDeclaredConstructor(int.class);
            constructor.setAccessible(true);
            return new FileOutputStream(constructor.newInstance(number));
        } catch (ReflectiveOperationException | RuntimeException error) {
            return null;
        }
    }

    void setRequest(String requestId, String tenantId) {
        this.requestId = requestId;
        this.tenantId = tenantId;
    }

    void logError(String message) {
        log(message, isJson ? LogLevel.ERROR : LogLevel.UNDEFINED);
    }

    @Override
    public void log(String message) {
        log(message, LogLevel.UNDEFINED);
    }

    @Override
    public void log(byte[] message) {
        log(message, LogLevel.UNDEFINED);
    }

    @Override
    public void log(String message, LogLevel level) {
        if (level == LogLevel.UNDEFINED || level.ordinal() >= least.ordinal()) {
            emit(formatted(String.valueOf(message), level), level);
        }
    }

    @Override
    public void log(byte[] message, LogLevel level) {
        if (level == LogLevel.UNDEFINED || level.ordinal() >= least.ordinal()) {
            emit(message, level);
        }
    }

    private byte[] formatted(String message, LogLevel level) {
        if (isJson) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("timestamp", Instant.now().toString());
            line.put("message", message);
            if (level != LogLevel.UNDEFINED) {
                line.put("level", level.name());
            }
            if (requestId != null) {
                line.put("AWSRequestId", requestId);
            }
            if (tenantId != null) {
                line.put("tenantId", tenantId);
            }
            return Json.write(line);
        }
        String prefix = level == LogLevel.UNDEFINED ? "" : "[" + level.name() + "] ";
        return (prefix + message).getBytes(StandardCharsets.UTF_8);
    }

    private synchronized void emit(byte[] message, LogLevel level) {
        try {
            if (frames == null) {
                System.out.write(message, 0, message.length);
                if (message.length > 0 && message[message.length - 1] != '\n') {
                    System.out.write('\n');
                }
                System.out.flush();
                return;
            }
            long now = System.currentTimeMillis();
            ByteBuffer frame = ByteBuffer.allocate(HEAD_BYTES + message.length);
            frame.putInt((isJson ? FRAME_JSON : FRAME_TEXT) | level.ordinal() << 2);
            frame.putInt(message.length).putLong(now * 1000).put(message);
            frames.write(frame.array());
        } catch (IOException ignored) {
            // Nobody reads the log any more; the call matters more.
        }
    }
}
