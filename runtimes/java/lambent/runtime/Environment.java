package lambent.runtime;

import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Replaces the variables of a running virtual machine: those that {@link System#getenv} shows, and the process's own
 * ones, which children and native code see.
 *
 * <p>The platform offers no way to either. The first are a map inside of it; the second are what the C library's
 * {@code environ} points to, which a program may point elsewhere. Needs {@code java.lang}, {@code
 * jdk.internal.loader} and {@code jdk.internal.misc} of {@code java.base} opened. Everything that can fail does so in
 * the constructor.
 */
final class Environment {
    private static final int POINTER_BYTES = 8;

    private final Map<Object, Object> bytesByName;
    private final Map<Object, Object> textByName;
    private final Object unsafe;
    private final Method allocate;
    private final Method copy;
    private final Method putAddress;
    private final long arrayBase;
    private final long environ;

    @SuppressWarnings("unchecked")
    Environment() throws ReflectiveOperationException {
        Class<?> type = Class.forName("java.lang.ProcessEnvironment");
        bytesByName = (Map<Object, Object>) opened(type.getDeclaredField("theEnvironment")).get(null);
        Constructor<?> view = Class.forName("java.lang.ProcessEnvironment$StringEnvironment")
                .getDeclaredConstructor(Map.class);
        view.setAccessible(true);
        textByName = (Map<Object, Object>) view.newInstance(bytesByName);
        Class<?> unsafeType = Class.forName("jdk.internal.misc.Unsafe");
        unsafe = method(unsafeType, "getUnsafe").invoke(null);
        allocate = method(unsafeType, "allocateMemory", long.class);
        copy = method(unsafeType, "copyMemory", Object.class, long.class, Object.class, long.class, long.class);
        putAddress = method(unsafeType, "putAddress", long.class, long.class);
        arrayBase = ((Number) opened(unsafeType.getDeclaredField("ARRAY_BYTE_BASE_OFFSET")).get(null)).longValue();
        int pointerBytes = (Integer) method(unsafeType, "addressSize").invoke(unsafe);
        environ = symbol(unsafeType, "environ");
        if (environ == 0 || pointerBytes != POINTER_BYTES) {
            throw new NoSuchFieldException("environ");
        }
    }

    /** The address of a symbol of any library that the process was started with. */
    private long symbol(Class<?> unsafeType, String name) throws ReflectiveOperationException {
        try {
            Class<?> library = Class.forName("jdk.internal.loader.NativeLibrary");
            return (Long) method(library, "findEntry0", long.class, String.class).invoke(null, 0L, name);
        } catch (NoSuchMethodException error) {
            // Until Java 17 the handle, which 0 makes that of the whole process, stands in an object.
            Class<?> library = Class.forName("jdk.internal.loader.NativeLibraries$NativeLibraryImpl");
            Object whole = method(unsafeType, "allocateInstance", Class.class).invoke(unsafe, library);
            Class<?> libraries = Class.forName("jdk.internal.loader.NativeLibraries");
            return (Long) method(libraries, "findEntry0", library, String.class).invoke(null, whole, name);
        }
    }

    private static Method method(Class<?> type, String name, Class<?>... parameters) throws NoSuchMethodException {
        Method method = type.getDeclaredMethod(name, parameters);
        method.setAccessible(true);
        return method;
    }

    private static Field opened(Field field) {
        field.setAccessible(true);
        return field;
    }

    /** Nothing of the variables before is left. */
    void become(Map<?, ?> variables) throws ReflectiveOperationException {
        List<byte[]> words = new ArrayList<>(variables.size());
        int length = 0;
        List<String[]> pairs = new ArrayList<>(variables.size());
        for (Map.Entry<?, ?> variable : variables.entrySet()) {
            String name = (String) variable.getKey();
            String value = (String) variable.getValue();
            pairs.add(new String[] {name, value});
            byte[] word = (name + "=" + value).getBytes(StandardCharsets.UTF_8);
            words.add(word);
            length += word.length + 1;
        }
        bytesByName.clear();
        for (String[] pair : pairs) {
            textByName.put(pair[0], pair[1]);
        }
        pointEnvironTo(words, length);
    }

    /** One block: the pointers, a null pointer, the words. It is never freed: who asked earlier may hold parts. */
    private void pointEnvironTo(List<byte[]> words, int length) throws ReflectiveOperationException {
        int table = (words.size() + 1) * POINTER_BYTES;
        long block = (Long) allocate.invoke(unsafe, (long) table + length);
        ByteBuffer image = ByteBuffer.allocate(table + length).order(ByteOrder.nativeOrder());
        long at = block + table;
        for (byte[] word : words) {
            image.putLong(at);
            at += word.length + 1;
        }
        image.putLong(0);
        for (byte[] word : words) {
            image.put(word).put((byte) 0);
        }
        copy.invoke(unsafe, image.array(), arrayBase, null, block, (long) image.capacity());
        putAddress.invoke(unsafe, environ, block);
    }
}
