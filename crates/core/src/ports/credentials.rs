use std::time::Duration;

use crate::ids::AccountId;
use crate::time::Timestamp;

/// Short-lived credentials, as an execution environment receives them.
#[derive(Clone)]
pub struct SessionCredentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: String,
    pub expires: Timestamp,
}

/// Makes credentials for a role's session.
pub trait Sessions: Send + Sync {
    /// Credentials that the node's own endpoints accept for `lifetime`, for the session of this role.
    fn issue(
        &self,
        account: &AccountId,
        role_arn: &str,
        session_name: &str,
        lifetime: Duration,
    ) -> SessionCredentials;
}
