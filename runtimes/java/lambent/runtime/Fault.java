package lambent.runtime;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** An error as the caller gets it and as the log gets it. */
final class Fault {
    /** An error of the function's form: its message is all that there is to say. */
    static final class Form extends Exception {
        private static final long serialVersionUID = 1;
        final String type;

        Form(String type, String message) {
            super(message, null, false, false);
            this.type = type;
        }
    }

    /** A chain of causes that is longer is one that bites its own tail. */
    private static final int CAUSES_MAX = 32;

    private final Throwable error;

    private Fault(Throwable error) {
        this.error = error;
    }

    static Fault of(Throwable error) {
        Throwable cause = error;
        for (int depth = 0; cause != null && depth < CAUSES_MAX; depth++) {
            cause.setStackTrace(ownFrames(cause.getStackTrace()));
            cause = cause.getCause();
        }
        return new Fault(error);
    }

    String type() {
        return error instanceof Form ? ((Form) error).type : error.getClass().getName();
    }

    Map<String, Object> report() {
        if (error instanceof Form) {
            Map<String, Object> report = new LinkedHashMap<>();
            report.put("errorMessage", error.getMessage());
            report.put("errorType", type());
            return report;
        }
        return report(error, 0);
    }

    private static Map<String, Object> report(Throwable error, int depth) {
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("errorMessage", error.getMessage());
        report.put("errorType", error.getClass().getName());
        List<String> frames = new ArrayList<>();
        for (StackTraceElement frame : error.getStackTrace()) {
            frames.add(frame.toString());
        }
        report.put("stackTrace", frames);
        if (error.getCause() != null && depth < CAUSES_MAX) {
            report.put("cause", report(error.getCause(), depth + 1));
        }
        return report;
    }

    String logged() {
        if (error instanceof Form) {
            return error.getMessage() + "\n";
        }
        StringWriter trace = new StringWriter();
        error.printStackTrace(new PrintWriter(trace, true));
        return error.getMessage() + ": " + error.getClass().getName() + "\n" + trace + "\n";
    }

    /** What lies below the handler is the client and none of the function's business. */
    private static StackTraceElement[] ownFrames(StackTraceElement[] frames) {
        int end = 0;
        while (end < frames.length && !frames[end].getClassName().startsWith("lambent.runtime.")) {
            end++;
        }
        while (end > 0 && isReflection(frames[end - 1].getClassName())) {
            end--;
        }
        StackTraceElement[] own = new StackTraceElement[end];
        System.arraycopy(frames, 0, own, 0, end);
        return own;
    }

    private static boolean isReflection(String className) {
        return className.startsWith("java.lang.reflect.")
                || className.startsWith("jdk.internal.reflect.")
                || className.startsWith("java.lang.invoke.");
    }
}
