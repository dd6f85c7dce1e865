// Declares what function packages are compiled against; see lambent.runtime.Main for who implements it.
package com.amazonaws.services.lambda.runtime;

/** Gives code without a context, such as log appenders, the logger. */
public final class LambdaRuntime {
    private LambdaRuntime() {}

    public static LambdaLogger getLogger() {
        return LambdaRuntimeInternal.logger;
    }
}
