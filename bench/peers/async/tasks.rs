// What tasks of tokio cost, on its current-thread runtime: tokio yield|spawn|gather|timer|timeout|queue|lock|executor COUNT,
// and its sleeps and servers: sleeps COUNT, echo PORT
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, Mutex};
use tokio::task::{spawn, spawn_blocking, yield_now};
use tokio::time::{sleep, timeout, Sleep};

const AT_ONCE: u64 = 1000;
const OTHERS: u64 = 10000;
const CONTENDERS: u64 = 10;

async fn take_turns(count: u64) {
    for _ in 0..count {
        yield_now().await;
    }
}

async fn yields(count: u64) {
    let (a, b) = (spawn(take_turns(count / 2)), spawn(take_turns(count / 2)));
    a.await.unwrap();
    b.await.unwrap();
}

async fn spawns(count: u64) {
    for _ in 0..count {
        spawn(async {}).await.unwrap();
    }
}

async fn gather(count: u64) {
    for _ in 0..count / AT_ONCE {
        let tasks: Vec<_> = (0..AT_ONCE).map(|_| spawn(async {})).collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

// Rust has this from 1.64 on.
struct PollFn<F>(F);

impl<F: FnMut(&mut Context<'_>) -> Poll<()> + Unpin> Future for PollFn<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        (self.0)(context)
    }
}

// A sleep is set when it is polled first.
fn arm(context: &mut Context<'_>, after_ms: u64) -> Pin<Box<Sleep>> {
    let mut timer = Box::pin(sleep(Duration::from_millis(30000 + after_ms)));
    assert!(timer.as_mut().poll(context).is_pending());
    timer
}

async fn timer(count: u64) {
    PollFn(|context: &mut Context<'_>| {
        let others: Vec<_> = (0..OTHERS).map(|i| arm(context, i * 7919 % OTHERS)).collect();
        for i in 0..count {
            drop(arm(context, i % OTHERS));
        }
        drop(others);
        Poll::Ready(())
    })
    .await
}

async fn timeouts(count: u64) {
    for _ in 0..count {
        timeout(Duration::from_secs(30), async {}).await.unwrap();
    }
}

async fn queue(count: u64) {
    let (sender, mut receiver) = mpsc::channel(1);
    let putting = spawn(async move {
        for i in 0..count {
            sender.send(i).await.unwrap();
        }
    });
    while receiver.recv().await.is_some() {}
    putting.await.unwrap();
}

async fn contend(lock: Arc<Mutex<()>>, count: u64) {
    for _ in 0..count {
        let _held = lock.lock().await;
        yield_now().await;
    }
}

async fn lock(count: u64) {
    let lock = Arc::new(Mutex::new(()));
    let tasks: Vec<_> = (0..CONTENDERS).map(|_| spawn(contend(lock.clone(), count / CONTENDERS))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn executor(count: u64) {
    for _ in 0..count {
        spawn_blocking(|| ()).await.unwrap();
    }
}

async fn sleeps(count: u64) {
    let tasks: Vec<_> = (0..count).map(|_| spawn(sleep(Duration::from_secs(1)))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn run(workload: &str, count: u64) {
    match workload {
        "yield" => yields(count).await,
        "spawn" => spawns(count).await,
        "gather" => gather(count).await,
        "timer" => timer(count).await,
        "timeout" => timeouts(count).await,
        "queue" => queue(count).await,
        "lock" => lock(count).await,
        "executor" => executor(count).await,
        "sleeps" => sleeps(count).await,
        _ => panic!("no such workload"),
    }
}

async fn timed(workload: &str, count: u64) {
    if workload != "sleeps" {
        run(workload, count / 20 + 1).await; // warm up, as timed.h does
    }
    let start = Instant::now();
    run(workload, count).await;
    println!("{{\"jobs\": {}, \"elapsed_s\": {:.9}}}", count, start.elapsed().as_secs_f64());
}

async fn echo(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        spawn(async move {
            let mut data = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut data).await {
                if stream.write_all(&data[..n]).await.is_err() {
                    break;
                }
            }
        });
    }
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let number: u64 = words[2].parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match words[1].as_str() {
        "echo" => runtime.block_on(echo(number as u16)),
        workload => runtime.block_on(timed(workload, number)),
    }
}
