//! Environments ahead of their calls, through the executor.

use super::*;

/// Remembers how calls were served.
#[derive(Default)]
struct Counted(Mutex<Vec<(ServedBy, bool)>>);

impl Metrics for Counted {
    fn call(&self, _: &FunctionSpec, sample: CallSample) {
        self.0.lock().unwrap().push((sample.served_by, sample.cold.is_some()));
    }
    fn throttled(&self, _: &FunctionSpec, _: ThrottleReason) {}
}

fn house<F, Fut>(program: F) -> (House, Arc<Counted>)
where
    F: Fn(Inside) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ExitHow> + Send + 'static,
{
    let counted = Arc::new(Counted::default());
    (House::counted(program, None, false, counted.clone()), counted)
}

async fn settled(house: &House, count: u32) {
    let wanted = [(Arc::new(spec()), count)];
    house.executor.provision_settled(&wanted, PATIENCE).await;
}

async fn until(condition: impl Fn() -> bool) {
    let look = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("it never came");
}

#[tokio::test]
async fn a_call_of_a_provisioned_version_waits_for_no_start_and_the_next_one_spills_over() {
    let (house, counted) = house(|mut inside: Inside| async move {
        loop {
            let (id, body) = inside.next().await;
            if body == "slow" {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let nth = inside.nth.to_string();
            inside.respond(&id, &nth).await;
        }
    });
    house.executor.provision(&spec().arn(), vec![(Arc::new(spec()), 1)]);
    settled(&house, 1).await;
    assert_eq!(house.executor.provisioned(&spec()), Provisioned { ready: 1, failure: None });
    assert_eq!(house.seen.prepared.load(Ordering::SeqCst), 1);
    let (first, second) = tokio::join!(house.invoke("slow"), house.invoke("slow"));
    assert!(first.as_ref().unwrap().cold.is_none(), "its environment was there");
    assert!(second.as_ref().unwrap().cold.is_some());
    assert_eq!((returned(first), returned(second)), ("0".to_owned(), "1".to_owned()));
    until(|| counted.0.lock().unwrap().len() == 2).await;
    let mut served = counted.0.lock().unwrap().clone();
    served.sort_by_key(|(_, cold)| *cold);
    assert_eq!(served, [(ServedBy::Provisioned, false), (ServedBy::Spillover, true)]);
    let used = house.executor.usage().functions;
    assert_eq!(used[0].provisioned, [(Version::Latest, 1, 1, 0)]);
}

#[tokio::test]
async fn an_init_that_fails_is_told_and_calls_go_on_as_without_it() {
    let (house, _) = house(|mut inside: Inside| async move {
        inside.request("POST", "init/error", "{\"errorType\":\"Boom\"}").await;
        ExitHow::Code(1)
    });
    house.executor.provision(&spec().arn(), vec![(Arc::new(spec()), 2)]);
    settled(&house, 2).await;
    let failure = Some("FUNCTION_ERROR_INIT_FAILURE".to_owned());
    assert_eq!(house.executor.provisioned(&spec()), Provisioned { ready: 0, failure });
    assert_eq!(house.failure().await["errorType"], "Boom");
}

#[tokio::test]
async fn a_provisioned_environment_that_ends_is_replaced_and_all_end_when_none_is_wanted() {
    let (house, _) = house(|mut inside: Inside| async move {
        let (id, _) = inside.next().await;
        inside.respond(&id, "1").await;
        ExitHow::Code(0)
    });
    house.executor.provision(&spec().arn(), vec![(Arc::new(spec()), 1)]);
    settled(&house, 1).await;
    returned(house.invoke("1").await);
    // It lived for less than what is taken for a start that succeeded: it is tried again later.
    until(|| house.executor.provisioned(&spec()).failure.is_some()).await;
    assert_eq!(house.executor.provisioned(&spec()).ready, 0);
    house.executor.provision(&spec().arn(), vec![]);
    until(|| house.executor.environment_count() == 0).await;
    assert_eq!(house.executor.provisioned(&spec()), Provisioned::default());
}

#[tokio::test]
async fn what_was_made_warm_serves_the_first_call_and_a_warming_that_hangs_is_not_waited_for() {
    let (house, counted) = house(echo);
    house.executor.warm(Arc::new(spec()), 2, PATIENCE).await;
    assert_eq!(house.seen.prepared.load(Ordering::SeqCst), 2);
    let first = house.invoke("7").await;
    assert!(first.as_ref().unwrap().cold.is_none());
    assert_eq!(returned(first), "7");
    until(|| !counted.0.lock().unwrap().is_empty()).await;
    assert_eq!(*counted.0.lock().unwrap(), [(ServedBy::OnDemand, false)]);
    assert_eq!(house.executor.recent(&spec()), 1);

    let (hanging, _) = house_of_hanging_inits();
    hanging.executor.warm(Arc::new(spec()), 1, Duration::from_millis(20)).await;
    assert_eq!(hanging.executor.environment_count(), 1, "it goes on by itself");
}

fn house_of_hanging_inits() -> (House, Arc<Counted>) {
    house(|_| std::future::pending())
}
