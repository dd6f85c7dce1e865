use std::sync::Mutex as StdMutex;

use lambent_core::ports::Bell;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Whole minutes since `start`.
fn minutes(clock: &VirtualClock, start: Timestamp) -> u64 {
    clock.now().since(start).as_secs() / 60
}

#[tokio::test]
async fn time_goes_from_one_moment_that_is_slept_for_to_the_next() {
    let clock = Arc::new(VirtualClock::default());
    let start = clock.now();
    let seen = Arc::new(StdMutex::new(Vec::new()));
    for pause in [60, 90] {
        let (clock, seen) = (clock.clone(), seen.clone());
        tokio::spawn(async move {
            let mut awake = clock.awake();
            for _ in 0..3 {
                let nap = clock.sleep_until(clock.now().plus(secs(pause)));
                drop(awake);
                awake = nap.await;
                // As long as it works, time stands.
                tokio::time::sleep(Duration::from_millis(10)).await;
                seen.lock().unwrap().push((pause, minutes(&clock, start)));
            }
            drop(awake);
        });
    }
    tokio::task::yield_now().await;
    assert_eq!(clock.advance(secs(3_600), PATIENCE).await, Duration::ZERO);
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, [(60, 1), (60, 2), (60, 3), (90, 1), (90, 3), (90, 4)]);
    assert_eq!(minutes(&clock, start), 60);
    assert!(clock.now().since(clock.wall()) > secs(3_000), "the machine's clock is where it was");
}

#[tokio::test]
async fn time_stands_while_somebody_works_and_says_how_much_is_left() {
    let clock = VirtualClock::default();
    let awake = clock.awake();
    let left = clock.advance(secs(600), Duration::from_millis(20)).await;
    assert!(left > secs(590), "{left:?}");
    drop(awake);
    assert_eq!(clock.advance(left, PATIENCE).await, Duration::ZERO);
}

#[tokio::test]
async fn time_stands_until_the_worker_has_heard_that_there_is_work() {
    let clock = Arc::new(VirtualClock::default());
    let bell = Bell::new(clock.clone());
    bell.ring();
    bell.ring();
    assert!(clock.advance(secs(600), Duration::from_millis(20)).await > secs(590));
    drop(bell.heard().await);
    assert_eq!(clock.advance(secs(600), PATIENCE).await, Duration::ZERO);
    assert!(tokio::time::timeout(Duration::from_millis(5), bell.heard()).await.is_err(), "it is heard once");
}

#[tokio::test]
async fn who_gave_up_sleeping_holds_nobody_up() {
    let clock = VirtualClock::default();
    let nap = clock.sleep_until(clock.now().plus(secs(5)));
    drop(nap);
    assert!(clock.shared.lock().naps.is_empty());
    assert_eq!(clock.advance(secs(10), PATIENCE).await, Duration::ZERO);
}

#[tokio::test]
async fn time_goes_on_by_itself() {
    let clock = VirtualClock::default();
    let at = clock.now().plus(Duration::from_millis(30));
    let awake = clock.sleep_until(at).await;
    assert!(clock.now() >= at);
    drop(awake);
    assert_eq!(clock.shared.lock().awake, 0);
}
