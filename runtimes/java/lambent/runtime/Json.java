package lambent.runtime;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON text to and from plain values: maps, lists, strings, numbers, booleans, null. Other types are {@link
 * Binder}'s work.
 */
final class Json {
    /** Deeper nesting would run out of stack; the reference's limit is the same. */
    private static final int DEPTH_MAX = 1000;

    static final class Malformed extends RuntimeException {
        private static final long serialVersionUID = 1;

        Malformed(String message) {
            super(message);
        }
    }

    private final String text;
    private int at;
    private int depth;

    private Json(String text) {
        this.text = text;
    }

    static Object read(String text) {
        Json json = new Json(text);
        Object value = json.value();
        json.blanks();
        if (json.at < text.length()) {
            throw json.unexpected();
        }
        return value;
    }

    static byte[] write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out, 0);
        return out.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static void write(Object value, StringBuilder out, int depth) {
        if (depth > DEPTH_MAX) {
            throw new Malformed("nested deeper than " + DEPTH_MAX + " levels");
        }
        if (value instanceof String) {
            quote((String) value, out);
        } else if (value instanceof Map) {
            char separator = '{';
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                out.append(separator);
                quote(String.valueOf(entry.getKey()), out);
                out.append(':');
                write(entry.getValue(), out, depth + 1);
                separator = ',';
            }
            out.append(separator == '{' ? "{}" : "}");
        } else if (value instanceof List) {
            char separator = '[';
            for (Object item : (List<?>) value) {
                out.append(separator);
                write(item, out, depth + 1);
                separator = ',';
            }
            out.append(separator == '[' ? "[]" : "]");
        } else if (value instanceof Double && !Double.isFinite((Double) value)
                || value instanceof Float && !Float.isFinite((Float) value)) {
            quote(value.toString(), out);
        } else {
            out.append(value);
        }
    }

    private static void quote(String text, StringBuilder out) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c == '\n') {
                out.append("\\n");
            } else if (c == '\r') {
                out.append("\\r");
            } else if (c == '\t') {
                out.append("\\t");
            } else if (c < ' ' || isLoneSurrogate(text, i)) {
                // UTF-8 can't carry half a pair; an escape can.
                String digits = Integer.toHexString(c);
                out.append("\\u").append("0000", 0, 4 - digits.length()).append(digits);
            } else {
                out.append(c);
            }
        }
        out.append('"');
    }

    private static boolean isLoneSurrogate(String text, int i) {
        char c = text.charAt(i);
        if (Character.isHighSurrogate(c)) {
            return i + 1 == text.length() || !Character.isLowSurrogate(text.charAt(i + 1));
        }
        return Character.isLowSurrogate(c) && (i == 0 || !Character.isHighSurrogate(text.charAt(i - 1)));
    }

    private Object value() {
        blanks();
        if (at == text.length()) {
            throw new Malformed("unexpected end of input");
        }
        switch (text.charAt(at)) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return string();
            case 't':
                return word("true", Boolean.TRUE);
            case 'f':
                return word("false", Boolean.FALSE);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> object() {
        enter();
        Map<String, Object> members = new LinkedHashMap<>();
        if (!tryTake('}')) {
            do {
                blanks();
                String name = string();
                blanks();
                take(':');
                members.put(name, value());
                blanks();
            } while (tryTake(','));
            take('}');
        }
        depth--;
        return members;
    }

    private List<Object> array() {
        enter();
        List<Object> items = new ArrayList<>();
        if (!tryTake(']')) {
            do {
                items.add(value());
                blanks();
            } while (tryTake(','));
            take(']');
        }
        depth--;
        return items;
    }

    private void enter() {
        if (++depth > DEPTH_MAX) {
            throw new Malformed("nested deeper than " + DEPTH_MAX + " levels");
        }
        at++;
        blanks();
    }

    private String string() {
        take('"');
        int start = at;
        StringBuilder built = null;
        while (true) {
            char c = next();
            if (c == '"') {
                String tail = text.substring(start, at - 1);
                return built == null ? tail : built.append(tail).toString();
            }
            if (c == '\\') {
                if (built == null) {
                    built = new StringBuilder();
                }
                built.append(text, start, at - 1).append(escape());
                start = at;
            } else if (c < ' ') {
                throw new Malformed("control character in a string at " + (at - 1));
            }
        }
    }

    private char escape() {
        char c = next();
        switch (c) {
            case 'n':
                return '\n';
            case 't':
                return '\t';
            case 'r':
                return '\r';
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case '"':
            case '\\':
            case '/':
                return c;
            case 'u':
                int code = 0;
                for (int i = 0; i < 4; i++) {
                    int digit = Character.digit(next(), 16);
                    if (digit < 0) {
                        throw new Malformed("bad escape at " + (at - 1));
                    }
                    code = code * 16 + digit;
                }
                return (char) code;
            default:
                throw new Malformed("bad escape at " + (at - 1));
        }
    }

    /** The usual type that holds the number exactly. */
    private Object number() {
        int start = at;
        boolean isWhole = true;
        while (at < text.length()) {
            char c = text.charAt(at);
            if (c == '.' || c == 'e' || c == 'E') {
                isWhole = false;
            } else if (c != '-' && c != '+' && (c < '0' || c > '9')) {
                break;
            }
            at++;
        }
        String digits = text.substring(start, at);
        try {
            if (!isWhole) {
                BigDecimal exact = new BigDecimal(digits);
                double near = exact.doubleValue();
                return Double.isInfinite(near) ? (Object) exact : (Object) near;
            }
            if (digits.length() < 10) {
                return Integer.valueOf(digits);
            }
            BigInteger whole = new BigInteger(digits);
            if (whole.bitLength() < 32) {
                return whole.intValue();
            }
            return whole.bitLength() < 64 ? (Object) whole.longValue() : (Object) whole;
        } catch (NumberFormatException error) {
            at = start;
            throw unexpected();
        }
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw unexpected();
        }
        at += word.length();
        return value;
    }

    private void blanks() {
        while (at < text.length()) {
            char c = text.charAt(at);
            if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
                return;
            }
            at++;
        }
    }

    private char next() {
        if (at == text.length()) {
            throw new Malformed("unexpected end of input");
        }
        return text.charAt(at++);
    }

    private boolean tryTake(char c) {
        if (at < text.length() && text.charAt(at) == c) {
            at++;
            return true;
        }
        return false;
    }

    private void take(char c) {
        if (!tryTake(c)) {
            throw at == text.length() ? new Malformed("unexpected end of input") : unexpected();
        }
    }

    private Malformed unexpected() {
        return new Malformed("unexpected character '" + text.charAt(at) + "' at " + at);
    }
}
