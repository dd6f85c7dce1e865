use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use lambent_core::function::{Egress, FunctionSpec};
use lambent_core::ports::sandbox::{Assignment, Mount, Running};
use lambent_core::ports::{Awake, BoxFuture, Nap};

use super::super::executor::Launch;
use super::*;

const SHAPE: Shape = Shape { egress: Egress::None };
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9001);

/// Nothing that the makers do here takes time, save that they wait for calls to have gone by. Time passes when nobody has
/// anything to do: it is long enough however slow the machine is.
const SETTLED: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Made {
    prepared: AtomicUsize,
    booted: AtomicUsize,
    asked_for_zygotes: AtomicUsize,
}

struct Host {
    made: Arc<Made>,
    boots: bool,
    /// Boots are tried, and fail.
    boot_fails: bool,
    cost: u64,
}

struct Waiting {
    made: Arc<Made>,
    boot_fails: bool,
    cost: u64,
}

impl Sandboxes for Host {
    fn prepare(&self, _: Shape) -> BoxFuture<'_, Result<Box<dyn Cell>, SandboxError>> {
        self.made.prepared.fetch_add(1, Ordering::SeqCst);
        let cell = Waiting { made: self.made.clone(), boot_fails: self.boot_fails, cost: self.cost };
        Box::pin(async move { Ok(Box::new(cell) as Box<dyn Cell>) })
    }
    fn boots(&self) -> bool {
        self.boots
    }
    fn has_zygote(&self, _: &Assignment) -> bool {
        self.made.asked_for_zygotes.fetch_add(1, Ordering::SeqCst) > 0
    }
}

fn nothing_runs() -> SandboxError {
    SandboxError::Internal { detail: "nothing runs here".to_owned() }
}

impl Cell for Waiting {
    fn runtime_api_addr(&self) -> SocketAddr {
        ADDRESS
    }
    fn services_addr(&self) -> Option<SocketAddr> {
        None
    }
    fn memory_bytes(&self) -> Option<u64> {
        Some(self.cost)
    }
    fn start(self: Box<Self>, _: Assignment) -> BoxFuture<'static, Result<Running, SandboxError>> {
        Box::pin(async { Err(nothing_runs()) })
    }
    fn boot(self: Box<Self>, _: Assignment) -> BoxFuture<'static, Result<Box<dyn Booted>, SandboxError>> {
        Box::pin(async move {
            self.made.booted.fetch_add(1, Ordering::SeqCst);
            if self.boot_fails { Err(nothing_runs()) } else { Ok(self as Box<dyn Booted>) }
        })
    }
}

impl Booted for Waiting {
    fn runtime_api_addr(&self) -> SocketAddr {
        ADDRESS
    }
    fn services_addr(&self) -> Option<SocketAddr> {
        None
    }
    fn is_alive(&self) -> bool {
        true
    }
    fn memory_bytes(&self) -> Option<u64> {
        Some(self.cost)
    }
    fn assign(
        self: Box<Self>,
        _: Limits,
        _: Vec<Mount>,
        _: Vec<u8>,
    ) -> BoxFuture<'static, Result<Running, SandboxError>> {
        Box::pin(async { Err(nothing_runs()) })
    }
}

struct EveryLaunch;

impl Launcher for EveryLaunch {
    fn extensions(&self, _: &FunctionSpec) -> Vec<String> {
        vec![]
    }
    fn launch(&self, _: &FunctionSpec) -> Result<Launch, String> {
        Err("no function is launched here".to_owned())
    }
    fn function_mounts(&self, _: &FunctionSpec) -> Vec<Mount> {
        Vec::new()
    }
    fn boot(&self, _: &'static Runtime, _: u32) -> Option<Launch> {
        Some(Launch { mounts: Vec::new(), argv: vec!["/bin/r".into()], env: Vec::new(), served_by: None })
    }
    fn copies(&self, runtime: &'static Runtime) -> bool {
        runtime == python()
    }
}

struct Standing;
impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000)
    }
    fn sleep_until(&self, at: Timestamp) -> Nap {
        let sleep = tokio::time::sleep(at.since(self.now()));
        Box::pin(async move {
            sleep.await;
            Awake::default()
        })
    }
}

fn python() -> &'static Runtime {
    lambent_core::runtime::find("python3.12").unwrap()
}

/// A stock that has done all that it wants to do.
async fn settled(host: Host, budget: u64, ask: impl FnOnce(&Cells)) -> (Cells, Arc<Made>) {
    let made = host.made.clone();
    let cells = Cells::new(Arc::new(host), Arc::new(EveryLaunch), Arc::new(Standing), budget, true);
    ask(&cells);
    let _ = tokio::time::timeout(SETTLED, cells.run()).await;
    (cells, made)
}

fn host() -> Host {
    Host { made: Arc::default(), boots: true, boot_fails: false, cost: MIB }
}

#[tokio::test(start_paused = true)]
async fn the_stock_holds_one_more_than_the_greatest_burst() {
    let (cells, made) = settled(host(), 1 << 30, |cells| {
        for _ in 0..3 {
            assert!(cells.take_booted(python(), 128, SHAPE).is_none());
        }
    })
    .await;
    assert_eq!(made.booted.load(Ordering::SeqCst), 4);
    for _ in 0..4 {
        assert!(cells.take_booted(python(), 128, SHAPE).is_some());
    }
    assert!(cells.take_booted(python(), 128, SHAPE).is_none());
}

#[tokio::test(start_paused = true)]
async fn what_waits_stays_within_the_budget_by_what_it_really_costs() {
    let dear = Host { cost: 40 * MIB, ..host() };
    let (_cells, made) = settled(dear, 100 * MIB, |cells| {
        for _ in 0..9 {
            cells.take_booted(python(), 128, SHAPE);
        }
    })
    .await;
    assert!((1..=3).contains(&made.booted.load(Ordering::SeqCst)), "{:?}", made.booted);
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_nothing_is_made_ahead() {
    let (cells, made) = settled(host(), 0, |cells| {
        cells.expect(python(), 128, SHAPE);
        assert!(cells.take(SHAPE).is_none());
    })
    .await;
    assert_eq!(made.prepared.load(Ordering::SeqCst), 0);
    assert!(cells.take(SHAPE).is_none());
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_booted_bare_cells_wait_instead() {
    let (cells, made) = settled(Host { boots: false, ..host() }, 1 << 30, |cells| {
        cells.expect(python(), 128, SHAPE);
    })
    .await;
    assert_eq!(made.booted.load(Ordering::SeqCst), 0);
    assert!(cells.take_booted(python(), 128, SHAPE).is_none());
    assert!(cells.take(SHAPE).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_fails_to_boot_rests_and_keeps_nothing_else_from_being_made() {
    let (cells, made) = settled(Host { boot_fails: true, ..host() }, 1 << 30, |cells| {
        cells.expect(python(), 128, SHAPE);
        cells.take(SHAPE);
    })
    .await;
    assert_eq!(made.booted.load(Ordering::SeqCst), 1);
    assert!(cells.take(SHAPE).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_is_not_made_again_at_once() {
    let (cells, made) = settled(host(), 1 << 30, |cells| cells.expect(python(), 128, SHAPE)).await;
    assert!(cells.release(Duration::ZERO));
    assert!(!cells.release(Duration::ZERO));
    let _ = tokio::time::timeout(SETTLED, cells.run()).await;
    assert_eq!(made.booted.load(Ordering::SeqCst), 1);
    assert!(cells.take_booted(python(), 128, SHAPE).is_none());
}

const OF_FUNCTION: Limits = Limits { memory_mb: 128, cpu_millis: 100, tmp_mb: 1_024 };

#[tokio::test(start_paused = true)]
async fn a_runtime_is_copied_for_a_call_once_it_has_a_zygote_whatever_may_wait() {
    let made = Arc::<Made>::default();
    let host = Host { made: made.clone(), ..host() };
    let cells = Cells::new(Arc::new(host), Arc::new(EveryLaunch), Arc::new(Standing), 0, true);
    cells.expect(python(), 128, SHAPE);
    assert_eq!(made.asked_for_zygotes.load(Ordering::SeqCst), 1, "one is made ahead of the call");
    assert!(cells.copy(python(), OF_FUNCTION, SHAPE).await.is_some());
    assert_eq!((made.prepared.load(Ordering::SeqCst), made.booted.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_has_no_zygote_is_not_copied() {
    let made = Arc::<Made>::default();
    let of = |zygotes| {
        let host = Host { made: made.clone(), ..host() };
        Cells::new(Arc::new(host), Arc::new(EveryLaunch), Arc::new(Standing), 0, zygotes)
    };
    // It is being made.
    assert!(of(true).copy(python(), OF_FUNCTION, SHAPE).await.is_none());
    let node = lambent_core::runtime::find("nodejs20.x").unwrap();
    assert!(of(true).copy(node, OF_FUNCTION, SHAPE).await.is_none(), "it can't be copied");
    assert!(of(false).copy(python(), OF_FUNCTION, SHAPE).await.is_none(), "the node wants none");
    assert_eq!(made.prepared.load(Ordering::SeqCst), 0);
}
