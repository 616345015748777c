//! Waiting for a condition, with a deadline: never a sleep that hopes.

use anyhow::{Result, anyhow};
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Calls `probe` until it returns `Ok(Some(value))`, and returns that value. It is called once more for certain when
/// `deadline` has passed: what a slow probe has seen is how things stood when it began.
///
/// # Errors
/// Names `what` was waited for, how long, and the last error of the probe, when a probe that began after `deadline` has
/// failed too.
pub async fn eventually<T, F>(what: &str, deadline: Duration, mut probe: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<Option<T>>,
{
    let started = Instant::now();
    let mut looks = 0_u64;
    loop {
        looks += 1;
        let begun = started.elapsed();
        let last = match probe().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if begun >= deadline {
            let took = started.elapsed() - begun;
            let waited =
                format!("waited {begun:.1?} for {what} and looked {looks} times, the last time for {took:.1?}");
            return Err(match last {
                Some(error) => error.context(waited),
                None => anyhow!(waited),
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[tokio::test]
    async fn a_condition_that_never_holds_is_named_in_the_error() {
        let error = eventually::<(), _>("the moon", Duration::from_millis(30), async || Ok(None)).await.unwrap_err();
        assert!(error.to_string().contains("the moon"));
    }

    #[tokio::test]
    async fn a_probe_that_outlasts_the_deadline_is_not_the_last() {
        let mut probes = 0;
        let value = eventually("the value", Duration::from_millis(10), async || {
            probes += 1;
            if probes == 1 {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            Ok((probes > 1).then_some(7))
        });
        assert_eq!(value.await.unwrap(), 7);
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
