//! The bounded way of an order to the runtime, and of the answer back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Audit, Done, Order, Refused};

/// Orders that may wait.
const WAITING: usize = 16;
/// How long an order may take. What takes longer is begun, and the status tells how it goes on.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where orders are given.
#[derive(Debug, Clone)]
pub struct Orders {
    desk: mpsc::Sender<Task>,
    audit: Arc<Audit>,
}

/// Where orders arrive.
#[derive(Debug)]
pub struct Desk(mpsc::Receiver<Task>);

/// An order that waits to be obeyed.
#[derive(Debug)]
pub struct Task {
    /// What.
    pub order: Order,
    /// Who gave it, for the board and the log.
    pub by: String,
    /// Takes the answer. Who asked may have gone: then nobody takes it.
    pub answer: oneshot::Sender<Result<Done, Refused>>,
}

impl Orders {
    /// A way for orders, and where they arrive; each is written to `audit`.
    pub fn new(audit: Audit) -> (Self, Desk) {
        let (desk, orders) = mpsc::channel(WAITING);
        (Self { desk, audit: Arc::new(audit) }, Desk(orders))
    }

    /// Gives an order, waits for the answer (30 s at most), and records both. `by` tells who gives it.
    ///
    /// # Errors
    /// Why it is not done.
    pub async fn give(&self, order: Order, by: &str) -> Result<Done, Refused> {
        let answered = self.ask(order.clone(), by).await;
        self.audit.record(by, &order, &answered);
        answered
    }

    async fn ask(&self, order: Order, by: &str) -> Result<Done, Refused> {
        let (answer, answered) = oneshot::channel();
        let busy = |_| Refused::new("busy", "the daemon has other orders to obey, or stops", "Try again");
        self.desk.try_send(Task { order, by: by.to_owned(), answer }).map_err(busy)?;
        match timeout(PATIENCE, answered).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(Refused::new("stopping", "the daemon has stopped meanwhile", "Start it again")),
            Err(_) => {
                let error = format!("there was no answer within {} s: it may be done yet", PATIENCE.as_secs());
                Err(Refused::new("timed_out", error, "Look at `duet status`"))
            }
        }
    }
}

impl Desk {
    /// The next order; `None` once nobody can give one any more.
    pub async fn next(&mut self) -> Option<Task> {
        self.0.recv().await
    }
}
