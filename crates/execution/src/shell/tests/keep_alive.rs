//! Environments behind their calls, through the executor.

use super::*;

fn house() -> House {
    House::new(|mut inside: Inside| async move {
        loop {
            let (id, _) = inside.next().await;
            let nth = inside.nth.to_string();
            inside.respond(&id, &nth).await;
        }
    })
}

async fn until(condition: impl Fn() -> bool) {
    let look = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("it never came");
}

impl House {
    fn is_quiet(&self) -> bool {
        self.executor.lock().plan.call_count() == 0
    }
}

fn run(house: &House) -> tokio::task::JoinHandle<()> {
    let executor = house.executor.clone();
    tokio::spawn(async move { executor.run().await })
}

#[tokio::test]
async fn a_host_that_is_short_of_memory_gets_back_what_idles() {
    let house = house();
    assert_eq!(returned(house.invoke("{}").await), "0");
    until(|| house.is_quiet()).await;
    house.seen.short.store(true, Ordering::SeqCst);
    let work = run(&house);
    house.until(|seen| seen.killed.load(Ordering::SeqCst) == 1).await;
    assert_eq!(house.executor.environment_count(), 0);
    assert_eq!(returned(house.invoke("{}").await), "1", "the next call is served all the same");
    work.abort();
}

#[tokio::test]
async fn a_call_that_comes_every_hour_finds_an_environment_that_was_made_for_it() {
    let house = house();
    let hours = 8;
    for _ in 0..hours {
        house.invoke("{}").await.unwrap();
        until(|| house.is_quiet()).await;
        house.seen.passed_secs.fetch_add(3_600, Ordering::SeqCst);
    }
    assert_eq!(house.executor.environment_count(), 0, "an hour is too long to keep one");
    // Two minutes before the hour is over.
    house.seen.passed_secs.fetch_sub(120, Ordering::SeqCst);
    let work = run(&house);
    until(|| house.executor.environment_count() == 1).await;
    until(|| !house.executor.lock().plan.is_warming(&executor::pool_of(&spec()))).await;
    let answer = house.invoke("{}").await.unwrap();
    assert!(answer.cold.is_none(), "it waited for no start");
    work.abort();
}
