package lambent.runtime;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;

/**
 * Booting before the function is known: rehearse a call, then wait to be told.
 *
 * <p>The node writes one JSON object, {@code {"env": {...}, "cwd": "..."}}, and closes its end. Until then this
 * process has seen nothing of any function, and afterwards it serves that one function only. The working folder is
 * the node's work: a virtual machine can't change its own.
 */
final class Parked {
    private static final String HANDOVER = "_LAMBENT_HANDOVER_FD";
    /** What {@code -cp} names when the machine starts for a function; {@code *} stands for the jars of a folder. */
    private static final String CLASS_PATH = "lambent.parked.classpath";
    private static final int READ_BYTES = 65536;
    /** What a virtual machine that can't be told its function late ends with. */
    private static final int EXIT_UNABLE = 3;

    private Parked() {}

    /** Returns at once when this process was started for a function. */
    static void await() throws Exception {
        String descriptor = System.getenv(HANDOVER);
        if (descriptor == null) {
            return;
        }
        Environment environment;
        Method appendToClassPath;
        try {
            environment = new Environment();
            // Once with what is there, so that a machine that can't do it ends here and not in front of a call.
            environment.become(System.getenv());
            appendToClassPath = appender();
        } catch (ReflectiveOperationException | RuntimeException error) {
            System.err.println("this Java can't wait for its function: " + error);
            System.exit(EXIT_UNABLE);
            return;
        }
        Rehearsal.run();
        // What is on the class path already is passed over, and no jar is beside it.
        String own = System.getProperty("java.class.path");
        extendClassPath(appendToClassPath, own + ':' + own + "/*");
        System.setProperty("java.class.path", own);
        environment.become((Map<?, ?>) Json.read(new String(Json.write(System.getenv()), StandardCharsets.UTF_8)));
        byte[] told = readToEnd(open(Integer.parseInt(descriptor)));
        if (told.length == 0) {
            // The node gave this cell up.
            Runtime.getRuntime().halt(0);
        }
        Map<?, ?> handover = (Map<?, ?>) Json.read(new String(told, StandardCharsets.UTF_8));
        environment.become((Map<?, ?>) handover.get("env"));
        extendClassPath(appendToClassPath, System.getProperty(CLASS_PATH, ""));
        System.clearProperty(CLASS_PATH);
    }

    private static InputStream open(int number) throws ReflectiveOperationException {
        Constructor<FileDescriptor> constructor = FileDescriptor.class.getDeclaredConstructor(int.class);
        constructor.setAccessible(true);
        return new FileInputStream(constructor.newInstance(number));
    }

    /** Blocks, without CPU, for as long as nobody needs this cell. */
    private static byte[] readToEnd(InputStream input) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] part = new byte[READ_BYTES];
        for (int count = input.read(part); count >= 0; count = input.read(part)) {
            all.write(part, 0, count);
        }
        input.close();
        return all.toByteArray();
    }

    /** The loader's own way of growing, which it has for agents. */
    private static Method appender() throws ReflectiveOperationException {
        Class<?> type = ClassLoader.getSystemClassLoader().getClass();
        Method append = type.getDeclaredMethod("appendToClassPathForInstrumentation", String.class);
        append.setAccessible(true);
        return append;
    }

    private static void extendClassPath(Method append, String wanted) throws ReflectiveOperationException {
        StringBuilder whole = new StringBuilder(System.getProperty("java.class.path"));
        ClassLoader loader = ClassLoader.getSystemClassLoader();
        int from = 0;
        while (from < wanted.length()) {
            int colon = wanted.indexOf(':', from);
            String entry = wanted.substring(from, colon < 0 ? wanted.length() : colon);
            from = colon < 0 ? wanted.length() : colon + 1;
            if (!entry.endsWith("/*")) {
                append.invoke(loader, entry);
                whole.append(':').append(entry);
                continue;
            }
            String folder = entry.substring(0, entry.length() - 1);
            String[] names = new File(folder).list();
            if (names == null) {
                continue;
            }
            Arrays.sort(names);
            for (String name : names) {
                if (name.endsWith(".jar") || name.endsWith(".JAR")) {
                    append.invoke(loader, folder + name);
                    whole.append(':').append(folder).append(name);
                }
            }
        }
        System.setProperty("java.class.path", whole.toString());
    }
}
