// Declares what function packages are compiled against; see lambent.runtime.Main for who implements it.
package com.amazonaws.services.lambda.runtime;

public interface CognitoIdentity {
    String getIdentityId();

    String getIdentityPoolId();
}
