//! What is printed and written: a line a round, and at the end Markdown for people, JSON for programs, and all probes.

use crate::oracle::{Finding, ITEMS};
use crate::plan::Wishes;
use crate::storm::Report;
use anyhow::{Context, Result};
use duet_chaos::flavor::Flavor;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A world as it was played: both versions, and its rounds.
pub struct Chapter {
    pub flavors: [Flavor; 2],
    pub apart: bool,
    pub rounds: Vec<Report>,
    /// Why it could not be started or played on.
    pub error: Option<String>,
}

/// The whole run.
pub struct Book {
    pub wishes: Wishes,
    pub start: Instant,
    pub took: Duration,
    /// What this machine can't do.
    pub missing: Vec<String>,
    pub chapters: Vec<Chapter>,
}

impl Book {
    /// Whether all holds.
    pub fn is_well(&self) -> bool {
        self.chapters.iter().all(|chapter| chapter.error.is_none()) && self.rounds().all(Report::is_well)
    }

    fn rounds(&self) -> impl Iterator<Item = &Report> {
        self.chapters.iter().flat_map(|chapter| &chapter.rounds)
    }

    /// How to see a round again.
    pub fn replay(&self, round: usize) -> String {
        let Wishes { seed, seconds, only, .. } = &self.wishes;
        let only: Vec<&str> = only.iter().map(|fault| fault.kind().name).collect();
        let only = if only.is_empty() { String::new() } else { format!(" --only {}", only.join(",")) };
        format!("make chaos CHAOS_SEED={seed} CHAOS_SECONDS={seconds} CHAOS=\"--round {round}{only}\"")
    }

    /// Writes `report.md`, `report.json` and `probes.jsonl`.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn write(&self, dir: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(dir).with_context(|| format!("no directory {}", dir.display()))?;
        let page = dir.join("report.md");
        std::fs::write(&page, self.page()?)?;
        std::fs::write(dir.join("report.json"), serde_json::to_vec_pretty(&self.json())?)?;
        let mut probes = String::new();
        for sample in self.rounds().flat_map(|round| &round.samples) {
            writeln!(probes, "{}", sample.json(self.start))?;
        }
        std::fs::write(dir.join("probes.jsonl"), probes)?;
        Ok(page)
    }

    fn page(&self) -> Result<String> {
        let verdict = if self.is_well() { "everything holds" } else { "**NOT EVERYTHING HOLDS**" };
        let rounds: Vec<&Report> = self.rounds().collect();
        let strikes: usize = rounds.iter().map(|round| round.played.len()).sum();
        let asked: u64 = rounds.iter().map(|round| round.asked).sum();
        let mut page = format!(
            "# Chaos: {verdict}\n\nSeed {}, {:.0} s, {} rounds with {strikes} faults, {asked} tasks of clients, {} probes.\n",
            self.wishes.seed,
            self.took.as_secs_f64(),
            rounds.len(),
            rounds.iter().map(|round| round.samples.len()).sum::<usize>(),
        );
        for missing in &self.missing {
            writeln!(page, "\nNot on this machine: {missing}.")?;
        }
        page.push_str("\n| What must hold | Rounds | Verdict |\n|---|---|---|\n");
        for item in ITEMS {
            let looks: Vec<&Finding> =
                rounds.iter().flat_map(|round| &round.findings).filter(|finding| finding.item == item).collect();
            let failed = looks.iter().filter(|finding| !finding.wrong.is_empty()).count();
            let verdict = if failed == 0 { "holds".to_owned() } else { format!("**fails in {failed}**") };
            writeln!(page, "| {item} | {} | {verdict} |", looks.len())?;
        }
        for chapter in &self.chapters {
            self.chapter(&mut page, chapter)?;
        }
        Ok(page)
    }

    fn chapter(&self, page: &mut String, chapter: &Chapter) -> Result<()> {
        let host = if chapter.apart { ", the daemon on a host of its own" } else { "" };
        writeln!(page, "\n## {:?} in the west, {:?} in the east{host}", chapter.flavors[0], chapter.flavors[1])?;
        if let Some(error) = &chapter.error {
            writeln!(page, "\n**Not played to its end**: {error}")?;
        }
        for round in &chapter.rounds {
            writeln!(
                page,
                "\n### Round {}: {}\n",
                round.round.number,
                if round.is_well() { "holds" } else { "**fails**" }
            )?;
            for played in &round.played {
                let at = |at: Option<Instant>| {
                    at.map_or("-".to_owned(), |at| format!("{:.1} s", at.duration_since(self.start).as_secs_f64()))
                };
                let (strike, notes) = (&played.strike, played.notes.join("; "));
                let error =
                    played.error.as_ref().map_or(String::new(), |error| format!(" **could not be played: {error}**"));
                writeln!(
                    page,
                    "- {} {}: {} to {}. {notes}{error}",
                    strike.fault.kind().name,
                    strike.side,
                    at(played.begun),
                    at(played.healed)
                )?;
            }
            round.decisions.iter().try_for_each(|decision| writeln!(page, "- decided by a person: {decision}"))?;
            page.push('\n');
            for finding in &round.findings {
                let mark = if finding.wrong.is_empty() { "holds" } else { "**fails**" };
                writeln!(page, "- {}: {mark} ({})", finding.item, finding.figures)?;
                finding.wrong.iter().try_for_each(|line| writeln!(page, "  - `{}`", line.replace('`', "'")))?;
            }
            if !round.is_well() {
                writeln!(page, "\nAgain: `{}`", self.replay(round.round.number))?;
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        json!({
            "seed": self.wishes.seed,
            "seconds": self.took.as_secs_f64(),
            "holds": self.is_well(),
            "missing": self.missing,
            "worlds": self.chapters.iter().map(|chapter| self.chapter_json(chapter)).collect::<Vec<_>>(),
        })
    }

    fn chapter_json(&self, chapter: &Chapter) -> Value {
        let ms = |at: Option<Instant>| {
            at.map(|at| u64::try_from(at.duration_since(self.start).as_millis()).unwrap_or(u64::MAX))
        };
        let rounds = chapter.rounds.iter().map(|round| {
            let played = round.played.iter().map(|played| {
                json!({"fault": played.strike.fault.kind().name, "region": played.strike.side.name(), "begun_ms": ms(played.begun),
                       "healed_ms": ms(played.healed), "notes": played.notes, "error": played.error})
            });
            let findings = round.findings.iter().map(|finding| {
                json!({"item": finding.item, "holds": finding.wrong.is_empty(), "wrong": finding.wrong, "figures": finding.figures})
            });
            json!({"round": round.round.number, "at_ms": ms(Some(round.at)), "holds": round.is_well(),
                   "faults": played.collect::<Vec<_>>(), "findings": findings.collect::<Vec<_>>(), "asked": round.asked,
                   "probes": round.samples.len(), "daemon": round.usage.map(|usage| usage.json()), "decisions": round.decisions})
        });
        let flavors = chapter.flavors.map(|flavor| format!("{flavor:?}"));
        json!({"west": flavors[0], "east": flavors[1], "apart": chapter.apart, "error": chapter.error,
               "rounds": rounds.collect::<Vec<_>>()})
    }
}
