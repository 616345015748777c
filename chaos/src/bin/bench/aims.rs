//! What was aimed at, beside what was measured.

use crate::table::{head, many, row};

/// A figure that is to reach something.
struct Figure {
    measure: String,
    measured: f64,
    unit: &'static str,
    /// The first aim, and the goal.
    wanted: [f64; 2],
    wants: Wants,
}

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wants {
    AtMost,
    AtLeast,
}

/// All figures of a run that are to reach something.
#[derive(Default)]
pub(crate) struct Aims {
    figures: Vec<Figure>,
    peak_mb: f64,
}

impl Aims {
    /// A figure that is to be `wanted` (first aim, goal) at most.
    pub(crate) fn at_most(&mut self, measure: impl Into<String>, measured: f64, unit: &'static str, wanted: [f64; 2]) {
        self.figures.push(Figure { measure: measure.into(), measured, unit, wanted, wants: Wants::AtMost });
    }

    /// A figure that is to be `wanted` (first aim, goal) at least.
    pub(crate) fn at_least(&mut self, measure: impl Into<String>, measured: f64, unit: &'static str, wanted: [f64; 2]) {
        self.figures.push(Figure { measure: measure.into(), measured, unit, wanted, wants: Wants::AtLeast });
    }

    /// Memory that a daemon held: the highest is shown.
    pub(crate) fn memory(&mut self, peak_mb: f64) {
        self.peak_mb = self.peak_mb.max(peak_mb);
    }

    /// Prints the table.
    pub(crate) fn print(mut self) {
        if self.peak_mb > 0.0 {
            self.at_most("peak memory of Duet in any of these", self.peak_mb, " MB", [100.0, 50.0]);
        }
        if self.figures.is_empty() {
            return;
        }
        head("Aims", &["measure", "measured", "first aim", "goal", ""]);
        for figure in &self.figures {
            let shown = |number: f64| format!("{}{}", rounded(number), figure.unit);
            row(&[
                figure.measure.clone(),
                shown(figure.measured),
                shown(figure.wanted[0]),
                shown(figure.wanted[1]),
                figure.verdict().to_owned(),
            ]);
        }
    }
}

impl Figure {
    fn verdict(&self) -> &'static str {
        let reached = |wanted: f64| match self.wants {
            Wants::AtMost => self.measured <= wanted,
            Wants::AtLeast => self.measured >= wanted,
        };
        match self.wanted.map(reached) {
            [_, true] => "goal reached",
            [true, false] => "first aim reached",
            [false, false] => "**not reached**",
        }
    }
}

/// Three digits that say something.
fn rounded(number: f64) -> String {
    match number.abs() {
        size if size >= 1000.0 => many(number),
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_reaches_the_goal_the_first_aim_or_nothing() {
        let verdict = |measured, wants, wanted| {
            Figure { measure: String::new(), measured, unit: "", wanted, wants }.verdict().to_owned()
        };
        assert_eq!(verdict(1.1, Wants::AtMost, [1.5, 1.1]), "goal reached");
        assert_eq!(verdict(1.2, Wants::AtMost, [1.5, 1.1]), "first aim reached");
        assert_eq!(verdict(1.6, Wants::AtMost, [1.5, 1.1]), "**not reached**");
        assert_eq!(verdict(0.9, Wants::AtLeast, [0.6, 0.8]), "goal reached");
        assert_eq!(verdict(0.5, Wants::AtLeast, [0.6, 0.8]), "**not reached**");
    }
}
