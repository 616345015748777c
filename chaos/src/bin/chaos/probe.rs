//! The probe log: what the daemon said of itself, about ten times a second, for as long as a world lasts.

use crate::side::Side;
use duet_chaos::daemon::{Answer, get};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Between two probes.
const BEAT: Duration = Duration::from_millis(100);

/// What one link said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSaid {
    pub direction: String,
    pub state: String,
    pub code: Option<String>,
    pub stalled: bool,
}

impl LinkSaid {
    fn streams(&self) -> bool {
        self.state == "streaming" && !self.stalled
    }
}

/// One look. What did not answer within two seconds is `None`.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was asked, and when all was answered or given up.
    pub at: Instant,
    pub until: Instant,
    pub live: Option<u16>,
    pub ready: Option<u16>,
    /// Code and state for each region.
    pub syncz: [Option<(u16, String)>; 2],
    pub links: Option<Vec<LinkSaid>>,
    pub skewed: Option<bool>,
}

impl Sample {
    /// Whether both links stream by `/status`.
    pub fn streams(&self) -> Option<bool> {
        self.links.as_ref().map(|links| links.len() == 2 && links.iter().all(LinkSaid::streams))
    }

    /// Whether `/readyz` says so.
    pub fn is_ready(&self) -> bool {
        self.ready == Some(200)
    }

    /// Whether a balancer sends clients to the region.
    pub fn serves(&self, side: Side) -> bool {
        self.syncz[side.index()].as_ref().is_some_and(|(code, _)| *code == 200)
    }

    /// A line for the file of probes; times in milliseconds since `start`.
    pub fn json(&self, start: Instant) -> Value {
        let links = self.links.as_ref().map(|links| {
            let link = |link: &LinkSaid| json!([link.direction, link.state, link.code, link.stalled]);
            links.iter().map(link).collect::<Vec<_>>()
        });
        let ms = |at: Instant| u64::try_from(at.duration_since(start).as_millis()).unwrap_or(u64::MAX);
        json!({"at_ms": ms(self.at), "took_ms": ms(self.until) - ms(self.at), "livez": self.live, "readyz": self.ready,
               "syncz_west": self.syncz[0], "syncz_east": self.syncz[1], "links": links, "skewed": self.skewed})
    }
}

/// The task that asks.
pub struct Probes {
    samples: Arc<Mutex<Vec<Sample>>>,
    task: JoinHandle<()>,
}

impl Probes {
    /// Begins to ask the daemon at this address.
    pub fn start(address: &str) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let (kept, address) = (Arc::clone(&samples), address.to_owned());
        let task = tokio::spawn(async move {
            let mut beats = tokio::time::interval(BEAT);
            beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                beats.tick().await;
                let sample = look(&address).await;
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            }
        });
        Self { samples, task }
    }

    /// What was seen since the last call.
    pub fn take(&self) -> Vec<Sample> {
        std::mem::take(&mut *self.samples.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(address: &str) -> Sample {
    let at = Instant::now();
    let (live, ready, west, east, status) = tokio::join!(
        get(address, "/livez"),
        get(address, "/readyz"),
        get(address, "/syncz?region=west"),
        get(address, "/syncz?region=east"),
        get(address, "/status"),
    );
    let code = |answer: &anyhow::Result<Answer>| answer.as_ref().ok().map(|answer| answer.code);
    let status: Option<Value> = status.ok().and_then(|answer| serde_json::from_str(&answer.body).ok());
    let links =
        status.as_ref().and_then(|status| status["links"].as_array()).map(|links| links.iter().map(link).collect());
    let skewed = status.as_ref().map(|status| status["clock"]["state"] == "skewed");
    let (live, ready) = (code(&live), code(&ready));
    Sample { at, until: Instant::now(), live, ready, syncz: [syncz(west), syncz(east)], links, skewed }
}

fn syncz(answer: anyhow::Result<Answer>) -> Option<(u16, String)> {
    let answer = answer.ok()?;
    let body: Value = serde_json::from_str(&answer.body).ok()?;
    Some((answer.code, body["state"].as_str()?.to_owned()))
}

fn link(link: &Value) -> LinkSaid {
    let text = |name: &str| link[name].as_str().map(str::to_owned);
    LinkSaid {
        direction: text("direction").unwrap_or_default(),
        state: text("state").unwrap_or_default(),
        code: text("error_code"),
        stalled: link["stalled"] == true,
    }
}
