//! SNS as this node has it: its store, its key, its way to endpoints, and what runs for it.

use std::path::Path;
use std::sync::Arc;

use lambent_core::ports::{Clock, Entropy, HttpSink, QueueSink, TraceSink};
use lambent_store::deliveries::{DeliveryStore, FunctionEvents};
use lambent_store::topics::TopicStore;
use lambent_store_sql::{OpenError, SqliteTopics};
use lambent_topics::{Deps, Signer, Topics};
use tokio::sync::watch;

use super::keys::Keys;
use super::signing::NotificationKey;

pub struct Notifications {
    pub topics: Arc<Topics>,
    pub signer: Arc<NotificationKey>,
    /// Where the signer's certificate is.
    pub certificate_path: String,
    /// Where the node is reached when nobody asks it by a name of its own.
    pub origin: String,
}

impl Notifications {
    /// `origin` is where the node is reached when nobody asks it by a name of its own.
    pub fn open(
        data: &Path,
        keys: &Keys,
        deliveries: Arc<dyn DeliveryStore>,
        functions: Arc<dyn FunctionEvents>,
        (queues, http, traces): (Arc<dyn QueueSink>, Arc<dyn HttpSink>, Arc<dyn TraceSink>),
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        origin: String,
    ) -> Result<Self, OpenError> {
        let signer = Arc::new(NotificationKey::new(data, entropy.clone()));
        // Its name is that of no other node's, and the same at every start.
        let name = keys.derived("certificate of notifications");
        let name: String = name[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let certificate_path = format!("/SimpleNotificationService-{name}.pem");
        let topics = Topics::new(Deps {
            store: Arc::new(SqliteTopics::open(data)?) as Arc<dyn TopicStore>,
            deliveries,
            functions,
            queues,
            traces,
            http,
            signer: signer.clone() as Arc<dyn Signer>,
            certificate_path: certificate_path.clone(),
            clock,
            entropy,
            origin: origin.clone(),
            signing_secret: keys.derived("notifications of topics"),
        });
        Ok(Self { topics: Arc::new(topics), signer, certificate_path, origin })
    }
}

/// Delivers until the node stops.
pub async fn run(topics: Arc<Topics>, mut stopped: watch::Receiver<bool>) {
    let stop = async {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    tokio::select! {
        () = topics.run(stop) => {}
        () = topics.run_housekeeping() => {}
    }
}
