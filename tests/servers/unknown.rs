//! A command that the daemon does not know is set aside with its key; the link goes on.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::flavor::Flavor::{Redis62, Redis70};
use duet_chaos::pair::{DEADLINE, Regions};
use duet_chaos::wait::eventually;
use serde_json::Value;

#[tokio::test]
async fn an_unknown_command_is_set_aside_and_named() -> Result<()> {
    // A renamed command travels under its new name: nobody else knows it.
    for flavor in [Redis62, Redis70] {
        let regions = Regions::start_with((flavor, &["--rename-command", "APPEND", "BOOST"]), (flavor, &[])).await?;
        let daemon = regions.daemon(duet()).await?;
        let (west, east) = regions.clients().await?;
        west.script("SET before 1\nBOOST boosted-key xyz\nSET after 1").await?;
        let after = async || Ok((east.int("EXISTS before after").await? == 2).then_some(()));
        eventually("the writes around it", DEADLINE, after).await?;
        let counted = |status: &Value| status["links"][0]["set_aside"] == 1;
        let status = daemon.wait_for("it to be counted", DEADLINE, counted).await?;
        ensure!(status["links"][0]["state"] == "streaming", "{status:#}");
        let said = format!("{}{status}", daemon.output());
        ensure!(said.to_uppercase().contains("BOOST") && said.contains("boosted-key"), "{said}");
        ensure!(east.int("EXISTS boosted-key").await? == 0);
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_command_in_a_transaction_takes_only_itself_away() -> Result<()> {
    let regions = Regions::start_with((Redis70, &["--rename-command", "APPEND", "BOOST"]), (Redis70, &[])).await?;
    let daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    west.script("MULTI\nSET a 1\nBOOST b xyz\nINCR c\nEXEC\nINCR c").await?;
    let after = async || Ok((east.int("GET c").await? == 2 && east.int("GET a").await? == 1).then_some(()));
    eventually("the rest of the transaction", DEADLINE, after).await?;
    daemon.wait_for("it to be counted", DEADLINE, |status| status["links"][0]["set_aside"] == 1).await?;
    Ok(())
}
