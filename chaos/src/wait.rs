//! Waiting for a condition, with a deadline: never a sleep that hopes.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Calls `probe` until it returns `Ok(Some(value))`, and returns that value.
///
/// # Errors
/// Names `what` was waited for, how long, and the last error of the probe, when `deadline` has passed.
pub async fn eventually<T, F>(what: &str, deadline: Duration, mut probe: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<Option<T>>,
{
    let started = Instant::now();
    loop {
        let last = match probe().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if started.elapsed() >= deadline {
            match last {
                Some(error) => return Err(error.context(format!("waited {deadline:?} for {what}"))),
                None => bail!("waited {deadline:?} for {what}"),
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_never_holds_is_named_in_the_error() {
        let error = eventually::<(), _>("the moon", Duration::from_millis(30), async || Ok(None)).await.unwrap_err();
        assert!(error.to_string().contains("the moon"));
    }

    #[tokio::test]
    async fn a_probe_that_fails_at_first_is_tried_again() {
        let mut left = 2;
        let value = eventually("the value", Duration::from_secs(5), async || {
            left -= 1;
            if left > 0 { bail!("not yet") } else { Ok(Some(7)) }
        });
        assert_eq!(value.await.unwrap(), 7);
    }
}
