//! `[verify]`: a repair names regions, so it is read after them.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::super::verify::{AutoRepair, Verify};
use super::{ConfigError, Raw, Settings, duration, required};
use crate::verify::{Sample, Share};

const PAUSE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 60 * 60);

/// `[verify]`
pub fn verify(settings: &Settings, raw: &Raw) -> Result<Verify, ConfigError> {
    let verify = &raw.verify;
    let share = verify.share.parse::<Sample>().ok().and_then(|share| Share::new(share.share()));
    let share = share.ok_or_else(|| {
        let remedy = "Write a share, as \"1%\", above 0% and up to 100%";
        settings.error("verify.share", "is not a share of a server's time", remedy)
    })?;
    let repair = repair(settings, raw)?;
    let backup = match (&verify.backup, repair) {
        (None, AutoRepair::Never) => None,
        (backup, _) => {
            let example = "backup = \"/var/lib/duet/repairs.db\"";
            Some(PathBuf::from(required(settings, "verify.backup", backup.as_deref(), example)?))
        }
    };
    let pause = duration(settings, "verify.pause", &verify.pause, PAUSE)?;
    Ok(Verify { continuous: verify.continuous, share, pause, repair, backup })
}

fn repair(settings: &Settings, raw: &Raw) -> Result<AutoRepair, ConfigError> {
    let text = raw.verify.repair.as_str();
    match text {
        "never" => return Ok(AutoRepair::Never),
        "last-update" => return Ok(AutoRepair::LastUpdate),
        _ => {}
    }
    let regions = [&raw.forward.source, &raw.forward.target].map(|name| name.as_deref().unwrap_or_default());
    let [source, target] = regions;
    let remedy = format!("It takes \"never\" or \"last-update\" or \"region:{source}\" or \"region:{target}\"");
    let named = text.strip_prefix("region:").and_then(|name| regions.iter().position(|region| *region == name));
    named
        .map(AutoRepair::Region)
        .ok_or_else(|| settings.error("verify.repair", "has a value that it does not take", remedy))
}
