package lambent.runtime;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.Field;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Plain JSON values to and from a function's own types: beans by their getters and setters, records by their
 * components, and what events of the platform are made of (dates, byte buffers, nested maps).
 *
 * <p>Names match without regard to case: events say {@code Records} and {@code eventSourceARN} where their
 * classes say {@code records} and {@code eventSourceArn}.
 */
final class Binder {
    private static final int DEPTH_MAX = 1000;

    private Binder() {}

    static Object read(byte[] json, Type type) {
        if (type == InputStream.class) {
            return new ByteArrayInputStream(json);
        }
        try {
            return bind(Json.read(new String(json, StandardCharsets.UTF_8)), type);
        } catch (RuntimeException | ReflectiveOperationException error) {
            throw new RuntimeException("An error occurred during JSON parsing", error);
        }
    }

    static byte[] write(Object value) {
        try {
            return Json.write(plain(value, 0));
        } catch (ReflectiveOperationException error) {
            Throwable cause = error instanceof InvocationTargetException ? error.getCause() : error;
            throw new RuntimeException("An error occurred during JSON serialization of response", cause);
        }
    }

    // ---- From JSON ------------------------------------------------------------------------------------------

    private static Object bind(Object value, Type type) throws ReflectiveOperationException {
        if (type instanceof ParameterizedType) {
            ParameterizedType generic = (ParameterizedType) type;
            return bindClass(value, (Class<?>) generic.getRawType(), generic.getActualTypeArguments());
        }
        if (type instanceof GenericArrayType) {
            return bindArray(value, ((GenericArrayType) type).getGenericComponentType());
        }
        if (type instanceof WildcardType) {
            return bind(value, ((WildcardType) type).getUpperBounds()[0]);
        }
        if (type instanceof TypeVariable) {
            return bind(value, ((TypeVariable<?>) type).getBounds()[0]);
        }
        return bindClass(value, (Class<?>) type, new Type[0]);
    }

    private static Object bindClass(Object value, Class<?> type, Type[] arguments) throws ReflectiveOperationException {
        if (type == Object.class || type == Void.class) {
            return type == Void.class ? null : value;
        }
        if (type == Optional.class) {
            return Optional.ofNullable(bind(value, argument(arguments, 0)));
        }
        if (value == null) {
            return type.isPrimitive() ? Array.get(Array.newInstance(type, 1), 0) : null;
        }
        if (type == String.class || type == CharSequence.class) {
            if (value instanceof Map || value instanceof List) {
                throw mismatch(value, type);
            }
            return value.toString();
        }
        if (type.isPrimitive() || Number.class.isAssignableFrom(type) || type == Boolean.class || type == Character.class) {
            return scalar(value, type);
        }
        if (type.isArray()) {
            return type == byte[].class && value instanceof String
                    ? Base64.getDecoder().decode((String) value)
                    : bindArray(value, type.getComponentType());
        }
        if (Map.class.isAssignableFrom(type)) {
            return bindMap(value, type, arguments);
        }
        if (Collection.class.isAssignableFrom(type) || type == Iterable.class) {
            return bindCollection(value, type, arguments);
        }
        if (type.isEnum()) {
            return constant(value, type);
        }
        if (type == ByteBuffer.class) {
            return ByteBuffer.wrap(Base64.getDecoder().decode(value.toString()));
        }
        if (type == Date.class) {
            return date(value);
        }
        return value instanceof Map ? bindBean((Map<?, ?>) value, type) : fromText(value, type);
    }

    private static Object scalar(Object value, Class<?> type) {
        if (type == boolean.class || type == Boolean.class) {
            if (value instanceof Boolean) {
                return value;
            }
            throw mismatch(value, type);
        }
        String text = value.toString();
        if (type == char.class || type == Character.class) {
            return text.charAt(0);
        }
        BigDecimal number;
        try {
            number = new BigDecimal(text);
        } catch (NumberFormatException error) {
            throw mismatch(value, type);
        }
        if (type == int.class || type == Integer.class) {
            return number.toBigInteger().intValueExact();
        } else if (type == long.class || type == Long.class) {
            return number.toBigInteger().longValueExact();
        } else if (type == double.class || type == Double.class) {
            return number.doubleValue();
        } else if (type == float.class || type == Float.class) {
            return number.floatValue();
        } else if (type == short.class || type == Short.class) {
            return number.toBigInteger().shortValueExact();
        } else if (type == byte.class || type == Byte.class) {
            return number.toBigInteger().byteValueExact();
        } else if (type == BigInteger.class) {
            return number.toBigInteger();
        }
        return type == BigDecimal.class ? number : value;
    }

    private static Object bindArray(Object value, Type itemType) throws ReflectiveOperationException {
        List<?> items = list(value);
        Class<?> raw = itemType instanceof ParameterizedType
                ? (Class<?>) ((ParameterizedType) itemType).getRawType()
                : itemType instanceof Class ? (Class<?>) itemType : Object.class;
        Object array = Array.newInstance(raw, items.size());
        for (int i = 0; i < items.size(); i++) {
            Array.set(array, i, bind(items.get(i), itemType));
        }
        return array;
    }

    @SuppressWarnings("unchecked")
    private static Object bindMap(Object value, Class<?> type, Type[] arguments) throws ReflectiveOperationException {
        if (!(value instanceof Map)) {
            throw mismatch(value, type);
        }
        Map<Object, Object> map = type.isInterface() || Modifier.isAbstract(type.getModifiers())
                ? (type.isAssignableFrom(LinkedHashMap.class) ? new LinkedHashMap<>() : new java.util.concurrent.ConcurrentSkipListMap<>())
                : (Map<Object, Object>) make(type);
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
            Object key = bind(entry.getKey(), argument(arguments, 0));
            map.put(key, bind(entry.getValue(), argument(arguments, 1)));
        }
        return map;
    }

    @SuppressWarnings("unchecked")
    private static Object bindCollection(Object value, Class<?> type, Type[] arguments) throws ReflectiveOperationException {
        Collection<Object> items;
        if (type.isAssignableFrom(ArrayList.class)) {
            items = new ArrayList<>();
        } else if (type.isAssignableFrom(LinkedHashSet.class)) {
            items = new LinkedHashSet<>();
        } else {
            items = (Collection<Object>) make(type.isInterface() ? java.util.TreeSet.class : type);
        }
        for (Object item : list(value)) {
            items.add(bind(item, argument(arguments, 0)));
        }
        return items;
    }

    private static Object constant(Object value, Class<?> type) {
        for (Object constant : type.getEnumConstants()) {
            if (((Enum<?>) constant).name().equals(value)) {
                return constant;
            }
        }
        throw mismatch(value, type);
    }

    /** Event sources count seconds, with fractions; programs count milliseconds. */
    private static Date date(Object value) {
        if (!(value instanceof Number)) {
            return Date.from(java.time.Instant.parse(value.toString()));
        }
        double number = ((Number) value).doubleValue();
        boolean isSeconds = Math.abs(number) < 1e11;
        return new Date((long) (isSeconds ? number * 1000 : number));
    }

    /** A type that stands in JSON as a text or a number: by its own reader of texts. */
    private static Object fromText(Object value, Class<?> type) throws ReflectiveOperationException {
        for (String name : new String[] {"parse", "fromString", "valueOf", "of", "create"}) {
            for (Class<?> from : new Class<?>[] {String.class, CharSequence.class}) {
                try {
                    Method reader = type.getMethod(name, from);
                    if (Modifier.isStatic(reader.getModifiers()) && type.isAssignableFrom(reader.getReturnType())) {
                        return reader.invoke(null, value.toString());
                    }
                } catch (NoSuchMethodException ignored) {
                    // The next one.
                }
            }
        }
        try {
            return type.getConstructor(String.class).newInstance(value.toString());
        } catch (NoSuchMethodException error) {
            throw mismatch(value, type);
        }
    }

    private static Object bindBean(Map<?, ?> members, Class<?> type) throws ReflectiveOperationException {
        if (isRecord(type)) {
            return bindRecord(members, type);
        }
        Object bean = make(type);
        for (Map.Entry<?, ?> member : members.entrySet()) {
            String name = member.getKey().toString();
            Method setter = setter(type, name);
            if (setter != null) {
                setter.setAccessible(true);
                setter.invoke(bean, bind(member.getValue(), setter.getGenericParameterTypes()[0]));
                continue;
            }
            Field field = field(type, name);
            if (field != null) {
                field.setAccessible(true);
                field.set(bean, bind(member.getValue(), field.getGenericType()));
            }
        }
        return bean;
    }

    private static Method setter(Class<?> type, String name) {
        Method found = null;
        for (Method method : type.getMethods()) {
            boolean fits = method.getParameterCount() == 1 && method.getName().equalsIgnoreCase("set" + name)
                    && !method.isBridge() && !Modifier.isStatic(method.getModifiers());
            // Of setters with different types, the one whose type is the field's.
            if (fits && (found == null || isOfField(type, name, method))) {
                found = method;
            }
        }
        return found;
    }

    private static boolean isOfField(Class<?> type, String name, Method setter) {
        Field field = field(type, name);
        return field != null && field.getType() == setter.getParameterTypes()[0];
    }

    private static Field field(Class<?> type, String name) {
        for (Class<?> level = type; level != null && level != Object.class; level = level.getSuperclass()) {
            for (Field field : level.getDeclaredFields()) {
                if (field.getName().equalsIgnoreCase(name) && !Modifier.isStatic(field.getModifiers())) {
                    return field;
                }
            }
        }
        return null;
    }

    private static Object bindRecord(Map<?, ?> members, Class<?> type) throws ReflectiveOperationException {
        Object[] components = components(type);
        Object[] values = new Object[components.length];
        Class<?>[] types = new Class<?>[components.length];
        for (int i = 0; i < components.length; i++) {
            String name = (String) call(components[i], "getName");
            types[i] = (Class<?>) call(components[i], "getType");
            Type generic = (Type) call(components[i], "getGenericType");
            Object value = members.get(name);
            for (Map.Entry<?, ?> member : members.entrySet()) {
                if (value == null && name.equalsIgnoreCase(member.getKey().toString())) {
                    value = member.getValue();
                }
            }
            values[i] = bind(value, generic);
        }
        Constructor<?> constructor = type.getDeclaredConstructor(types);
        constructor.setAccessible(true);
        return constructor.newInstance(values);
    }

    /** An empty instance; of a class without an empty constructor, one that no constructor has seen. */
    private static Object make(Class<?> type) throws ReflectiveOperationException {
        try {
            Constructor<?> constructor = type.getDeclaredConstructor();
            constructor.setAccessible(true);
            return constructor.newInstance();
        } catch (NoSuchMethodException error) {
            Class<?> factory = Class.forName("sun.reflect.ReflectionFactory");
            Object instance = factory.getMethod("getReflectionFactory").invoke(null);
            Constructor<?> constructor = (Constructor<?>) factory
                    .getMethod("newConstructorForSerialization", Class.class, Constructor.class)
                    .invoke(instance, type, Object.class.getDeclaredConstructor());
            return constructor.newInstance();
        }
    }

    private static List<?> list(Object value) {
        if (!(value instanceof List)) {
            throw mismatch(value, List.class);
        }
        return (List<?>) value;
    }

    private static Type argument(Type[] arguments, int index) {
        return index < arguments.length ? arguments[index] : Object.class;
    }

    private static RuntimeException mismatch(Object value, Class<?> type) {
        String kind = value instanceof Map ? "Object" : value instanceof List ? "Array"
                : value instanceof String ? "String" : value instanceof Boolean ? "Boolean" : "Number";
        return new IllegalArgumentException("Cannot deserialize value of type `" + type.getName() + "` from " + kind + " value");
    }

    // ---- To JSON --------------------------------------------------------------------------------------------

    private static Object plain(Object value, int depth) throws ReflectiveOperationException {
        if (depth > DEPTH_MAX) {
            throw new RuntimeException("An error occurred during JSON serialization of response: nested too deep");
        }
        if (value == null || value instanceof String || value instanceof Number || value instanceof Boolean) {
            return value;
        }
        if (value instanceof Map) {
            Map<String, Object> members = new LinkedHashMap<>();
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                members.put(String.valueOf(entry.getKey()), plain(entry.getValue(), depth + 1));
            }
            return members;
        }
        if (value instanceof Iterable && !(value instanceof java.nio.file.Path)) {
            List<Object> items = new ArrayList<>();
            for (Object item : (Iterable<?>) value) {
                items.add(plain(item, depth + 1));
            }
            return items;
        }
        if (value instanceof byte[]) {
            return Base64.getEncoder().encodeToString((byte[]) value);
        }
        if (value.getClass().isArray()) {
            List<Object> items = new ArrayList<>();
            for (int i = 0; i < Array.getLength(value); i++) {
                items.add(plain(Array.get(value, i), depth + 1));
            }
            return items;
        }
        if (value instanceof Enum) {
            return ((Enum<?>) value).name();
        }
        if (value instanceof Optional) {
            return plain(((Optional<?>) value).orElse(null), depth + 1);
        }
        if (value instanceof Date) {
            return ((Date) value).getTime();
        }
        if (value instanceof ByteBuffer) {
            ByteBuffer bytes = ((ByteBuffer) value).duplicate();
            byte[] copy = new byte[bytes.remaining()];
            bytes.get(copy);
            return Base64.getEncoder().encodeToString(copy);
        }
        // The platform's own types (times, identifiers, addresses) are texts; everything else is a bean.
        boolean isText = value instanceof CharSequence || value.getClass().getName().startsWith("java.");
        return isText || value instanceof Character ? value.toString() : members(value, depth);
    }

    private static Map<String, Object> members(Object bean, int depth) throws ReflectiveOperationException {
        Map<String, Object> members = new LinkedHashMap<>();
        Class<?> type = bean.getClass();
        if (isRecord(type)) {
            for (Object component : components(type)) {
                Method accessor = (Method) call(component, "getAccessor");
                accessor.setAccessible(true);
                members.put(accessor.getName(), plain(accessor.invoke(bean), depth + 1));
            }
            return members;
        }
        // By the order of the fields, so that an answer is the same every time.
        Map<String, Method> getters = new LinkedHashMap<>();
        Set<String> ordered = new LinkedHashSet<>();
        for (Field field : type.getDeclaredFields()) {
            ordered.add(field.getName());
        }
        for (Method method : type.getMethods()) {
            String name = propertyOf(method);
            if (name != null && (!getters.containsKey(name) || !method.isBridge())) {
                getters.put(name, method);
                ordered.add(name);
            }
        }
        for (String name : ordered) {
            Method getter = getters.get(name);
            if (getter != null) {
                getter.setAccessible(true);
                members.put(name, plain(getter.invoke(bean), depth + 1));
            }
        }
        for (Field field : type.getFields()) {
            if (!Modifier.isStatic(field.getModifiers()) && !members.containsKey(field.getName())) {
                field.setAccessible(true);
                members.put(field.getName(), plain(field.get(bean), depth + 1));
            }
        }
        return members;
    }

    /** The property that a getter gives, or null: leading capitals become small, as in the reference. */
    private static String propertyOf(Method method) {
        boolean isGetter = method.getParameterCount() == 0 && method.getReturnType() != void.class
                && !Modifier.isStatic(method.getModifiers()) && method.getDeclaringClass() != Object.class;
        String name = method.getName();
        if (isGetter && name.startsWith("get") && name.length() > 3) {
            name = name.substring(3);
        } else if (isGetter && name.startsWith("is") && name.length() > 2 && method.getReturnType() == boolean.class) {
            name = name.substring(2);
        } else {
            return null;
        }
        int capitals = 0;
        while (capitals < name.length() && Character.isUpperCase(name.charAt(capitals))) {
            capitals++;
        }
        return name.substring(0, capitals).toLowerCase(Locale.ROOT) + name.substring(capitals);
    }

    // ---- Records, by reflection: they are newer than the version that this is compiled for -------------------

    private static boolean isRecord(Class<?> type) {
        return type.getSuperclass() != null && type.getSuperclass().getName().equals("java.lang.Record");
    }

    private static Object[] components(Class<?> type) throws ReflectiveOperationException {
        return (Object[]) Class.class.getMethod("getRecordComponents").invoke(type);
    }

    private static Object call(Object target, String method) throws ReflectiveOperationException {
        return target.getClass().getMethod(method).invoke(target);
    }
}
