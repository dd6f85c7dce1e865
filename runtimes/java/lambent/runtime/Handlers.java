package lambent.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/** From a handler's name, {@code package.Class} or {@code package.Class::method}, to something to call. */
final class Handlers {
    interface Handler {
        void handle(InputStream input, OutputStream output, Context context) throws Throwable;
    }

    private static final String USUAL_METHOD = "handleRequest";

    private Handlers() {}

    static Handler load(String name) throws Throwable {
        int colons = name.indexOf("::");
        String className = colons < 0 ? name : name.substring(0, colons);
        String methodName = colons < 0 ? null : name.substring(colons + 2);
        if (className.isEmpty() || (methodName != null && (methodName.isEmpty() || methodName.contains(":")))) {
            throw new Fault.Form("Runtime.MalformedHandlerName", "Invalid handler: `" + name + "`");
        }
        Class<?> type;
        try {
            type = Class.forName(className);
        } catch (ClassNotFoundException error) {
            throw new Fault.Form("java.lang.ClassNotFoundException", "Class not found: " + className);
        }
        boolean isUsual = methodName == null || methodName.equals(USUAL_METHOD);
        if (isUsual && RequestStreamHandler.class.isAssignableFrom(type)) {
            RequestStreamHandler instance = (RequestStreamHandler) instance(type);
            return instance::handleRequest;
        }
        if (isUsual && RequestHandler.class.isAssignableFrom(type)) {
            return ofInterface(type);
        }
        if (methodName == null) {
            throw new Fault.Form("Runtime.HandlerNotFound",
                    "Class " + className + " does not implement an appropriate handler interface and no handler method name specified.");
        }
        return ofMethod(type, method(type, methodName));
    }

    @SuppressWarnings("unchecked")
    private static Handler ofInterface(Class<?> type) throws Throwable {
        Type inputType = argumentOf(type, RequestHandler.class, 0);
        RequestHandler<Object, Object> instance = (RequestHandler<Object, Object>) instance(type);
        return (input, output, context) -> {
            Object answer = instance.handleRequest(Binder.read(input.readAllBytes(), inputType), context);
            output.write(Binder.write(answer));
        };
    }

    private static Handler ofMethod(Class<?> type, Method method) throws Throwable {
        Object instance = Modifier.isStatic(method.getModifiers()) ? null : instance(type);
        Class<?>[] parameters = method.getParameterTypes();
        boolean takesContext = parameters.length > 0 && parameters[parameters.length - 1] == Context.class;
        int count = takesContext ? parameters.length - 1 : parameters.length;
        boolean isStream = count > 0 && parameters[0] == InputStream.class;
        Type inputType = count > 0 ? method.getGenericParameterTypes()[0] : null;
        method.setAccessible(true);
        return (input, output, context) -> {
            Object[] values = new Object[parameters.length];
            if (takesContext) {
                values[count] = context;
            }
            if (isStream) {
                values[0] = input;
                if (count > 1) {
                    values[1] = output;
                }
            } else if (count > 0) {
                values[0] = Binder.read(input.readAllBytes(), inputType);
            }
            Object answer;
            try {
                answer = method.invoke(instance, values);
            } catch (InvocationTargetException error) {
                throw error.getCause();
            }
            if (!(isStream && count > 1)) {
                output.write(method.getReturnType() == void.class
                        ? "null".getBytes(StandardCharsets.UTF_8)
                        : Binder.write(answer));
            }
        };
    }

    /** Of several methods of that name, the one that takes the most; a context decides among equals. */
    private static Method method(Class<?> type, String name) throws Fault.Form {
        Method best = null;
        int bestRank = -1;
        for (Method method : type.getMethods()) {
            int rank = method.getName().equals(name) && !method.isBridge() ? rank(method) : -1;
            if (rank > bestRank) {
                best = method;
                bestRank = rank;
            }
        }
        if (best == null) {
            throw new Fault.Form("Runtime.HandlerNotFound", "No public method named " + name
                    + " with appropriate method signature found on class " + type.getName());
        }
        return best;
    }

    /** Negative for a signature that can't be called. */
    private static int rank(Method method) {
        Class<?>[] parameters = method.getParameterTypes();
        boolean takesContext = parameters.length > 0 && parameters[parameters.length - 1] == Context.class;
        int count = takesContext ? parameters.length - 1 : parameters.length;
        boolean isStream = count == 2 && parameters[0] == InputStream.class && parameters[1] == OutputStream.class;
        return count > 1 && !isStream ? -1 : count * 2 + (takesContext ? 1 : 0);
    }

    private static Object instance(Class<?> type) throws Throwable {
        if (type.isInterface() || Modifier.isAbstract(type.getModifiers())) {
            throw new Fault.Form("java.lang.InstantiationException", type.getName() + " cannot be instantiated");
        }
        Constructor<?> constructor;
        try {
            constructor = type.getConstructor();
        } catch (NoSuchMethodException error) {
            throw new Fault.Form("java.lang.NoSuchMethodException",
                    "Class " + type.getName() + " has no public zero-argument constructor");
        }
        constructor.setAccessible(true);
        try {
            return constructor.newInstance();
        } catch (InvocationTargetException error) {
            throw error.getCause();
        }
    }

    /** What a class puts in the place of a parameter of one of its interfaces, however far up that is. */
    static Type argumentOf(Class<?> type, Class<?> target, int index) {
        Type found = search(type, target, index, new HashMap<>());
        return found == null ? Object.class : found;
    }

    private static Type search(Type type, Class<?> target, int index, Map<TypeVariable<?>, Type> known) {
        Class<?> raw;
        if (type instanceof ParameterizedType) {
            raw = (Class<?>) ((ParameterizedType) type).getRawType();
            Type[] arguments = ((ParameterizedType) type).getActualTypeArguments();
            TypeVariable<?>[] variables = raw.getTypeParameters();
            for (int i = 0; i < variables.length; i++) {
                known.put(variables[i], known.getOrDefault(arguments[i], arguments[i]));
            }
        } else if (type instanceof Class) {
            raw = (Class<?>) type;
        } else {
            return null;
        }
        if (raw == target) {
            Type found = known.get(raw.getTypeParameters()[index]);
            return found instanceof TypeVariable ? Object.class : found;
        }
        for (Type parent : raw.getGenericInterfaces()) {
            Type found = search(parent, target, index, known);
            if (found != null) {
                return found;
            }
        }
        return raw.getGenericSuperclass() == null ? null : search(raw.getGenericSuperclass(), target, index, known);
    }
}
