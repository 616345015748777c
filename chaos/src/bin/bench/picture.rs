//! Curves as SVG.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;
use std::path::Path;

/// Width and height, in pixels.
const SIZE: (u32, u32) = (720, 400);
/// What lines are called, each with its color in every picture; others are black.
const COLORS: [(&str, RGBColor); 4] = [
    ("native: time", RGBColor(0x70, 0x70, 0x70)),
    ("Duet: time", RGBColor(0xc0, 0x39, 0x2b)),
    ("Duet: CPU", RGBColor(0x1f, 0x6f, 0xb2)),
    ("RedisShake: time", RGBColor(0xd0, 0x8a, 0x10)),
];

/// What is drawn: the cost goes up in steps of a factor, and so does what it depends on where that is told.
pub(crate) struct Picture<'a> {
    pub(crate) title: &'a str,
    /// What the cost depends on, and whether by its logarithm.
    pub(crate) across: (&'a str, bool),
    pub(crate) up: &'a str,
    /// Lines by their names.
    pub(crate) lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl Picture<'_> {
    /// Writes it to a file.
    pub(crate) fn draw(&self, file: &Path) -> Result<()> {
        let area = SVGBackend::new(file, SIZE).into_drawing_area();
        let points = || self.lines.iter().flat_map(|(_, points)| points.iter().copied());
        let ends = |all: &mut dyn Iterator<Item = f64>| {
            all.fold((f64::MAX, f64::MIN), |ends, it| (ends.0.min(it), ends.1.max(it)))
        };
        let (left, right) = ends(&mut points().map(|point| point.0));
        if self.across.1 {
            self.draw_on(&area, (left..right).log_scale(), ends(&mut points().map(|point| point.1)))
        } else {
            self.draw_on(&area, left..right, ends(&mut points().map(|point| point.1)))
        }
        .map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
    }

    fn draw_on<X>(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        across: X,
        (low, high): (f64, f64),
    ) -> Result<(), Box<dyn std::error::Error>>
    where
        X: plotters::coord::ranged1d::AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
    {
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(across, (low / 1.5..high * 3.0).log_scale())?;
        chart
            .configure_mesh()
            .x_desc(self.across.0)
            .y_desc(self.up)
            .x_label_formatter(&|number| short(*number))
            .y_label_formatter(&|number| short(*number))
            .light_line_style(WHITE)
            .draw()?;
        for (name, points) in &self.lines {
            let color = COLORS.iter().find(|color| color.0 == name).map_or(BLACK, |color| color.1);
            let line =
                chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(3))?;
            line.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        }
        let place = SeriesLabelPosition::UpperLeft;
        chart.configure_series_labels().position(place).background_style(WHITE).border_style(BLACK.mix(0.3)).draw()?;
        area.present()?;
        Ok(())
    }
}

/// A number in as few characters as it takes.
fn short(number: f64) -> String {
    match number {
        _ if number >= 1e6 => format!("{} M", number / 1e6),
        _ if number >= 1e4 => format!("{} k", number / 1e3),
        _ => format!("{}", (number * 1e3).round() / 1e3),
    }
}
