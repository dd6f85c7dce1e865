// Declares what function packages are compiled against; see lambent.runtime.Main for who implements it.
package com.amazonaws.services.lambda.runtime.logging;

public enum LogFormat {
    JSON,
    TEXT;

    public static LogFormat fromString(String format) {
        try {
            return valueOf(format.toUpperCase());
        } catch (RuntimeException error) {
            throw new IllegalArgumentException("Invalid log format: '" + format + "' expected one of [JSON, TEXT]");
        }
    }
}
