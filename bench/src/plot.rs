//! The ratios as a picture: one band for each row of the table, one mark for each network, on
//! a logarithmic axis. Right of the line in the middle ours is better.

use std::path::Path;

use svg::Document;
use svg::node::element::{Circle, Group, Line, Rectangle, Text};

use crate::table::{Better, Table};

/// Colours that people who see few colours tell apart (Okabe and Ito), and the shape's turn.
const COLOURS: [&str; 6] = [
    "#000000", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00",
];

const WIDTH: f64 = 1000.0;
/// Where the names of the rows end and the axis begins.
const LEFT: f64 = 440.0;
const RIGHT: f64 = 965.0;
const TOP: f64 = 150.0;
const BAND: f64 = 24.0;

/// Ratios beyond this are drawn at the edge, with their number.
const LIMIT: f64 = 100.0;

/// One row: its title, and for each network how much better ours is.
struct Band {
    title: String,
    marks: Vec<(usize, f64)>,
}

pub(crate) fn write(table: &Table, ours: &str, path: &Path) -> Result<(), String> {
    let text = draw(table, ours).to_string();
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn draw(table: &Table, ours: &str) -> Document {
    let bands = bands(table, ours);
    let height = TOP + bands.len() as f64 * BAND + 50.0;
    let bottom = TOP + bands.len() as f64 * BAND;
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("font-family", "Helvetica, Arial, sans-serif")
        .add(rectangle(0.0, 0.0, WIDTH, height, "#ffffff"))
        .add(words(24.0, 38.0, 22.0, "start", &format!("{ours} beside the others")))
        .add(
            words(
                24.0,
                62.0,
                13.0,
                "start",
                "How many times better ours is: medians of one run, logarithmic axis. Right of 1 ours is better.",
            )
            .set("fill", "#555555"),
        )
        .add(legend(table, ours));
    for at in (0..bands.len()).step_by(2) {
        let y = TOP + at as f64 * BAND;
        document = document.add(rectangle(24.0, y, RIGHT - 12.0, BAND, "#f4f5f7"));
    }
    document = document.add(axis(bottom));
    for (at, band) in bands.iter().enumerate() {
        document = document.add(draw_band(band, TOP + at as f64 * BAND));
    }
    document
}

fn bands(table: &Table, ours: &str) -> Vec<Band> {
    let mut bands = Vec::new();
    // A row's title may go on from the one above.
    let mut above = String::new();
    for row in table.rows() {
        let goes_on = row.title.starts_with("  ");
        if !goes_on {
            above = row.title.split(',').next().unwrap_or_default().to_owned();
        }
        let Some(own) = table.median(&row.key, ours) else {
            continue;
        };
        let title = match (goes_on, row.title.trim()) {
            (true, title) => format!("{above}: {title}"),
            (false, title) => title.to_owned(),
        };
        let better = |column: &String| {
            let other = table.median(&row.key, column)?;
            let ratio = match row.better {
                Better::More => own / other,
                Better::Less => other / own,
            };
            // Nothing over nothing says nothing.
            (ratio.is_finite() && ratio > 0.0).then_some(ratio)
        };
        let marks: Vec<(usize, f64)> = (table.columns.iter().enumerate())
            .filter(|(_, column)| *column != ours)
            .filter_map(|(at, column)| Some((at, better(column)?)))
            .collect();
        if !marks.is_empty() {
            bands.push(Band { title, marks });
        }
    }
    bands
}

/// The place of a ratio on the axis.
fn place(ratio: f64) -> f64 {
    let clamped = ratio.clamp(1.0 / LIMIT, LIMIT);
    let share = (clamped.log10() / LIMIT.log10() + 1.0) / 2.0;
    LEFT + share * (RIGHT - LEFT)
}

fn axis(bottom: f64) -> Group {
    let mut group = Group::new();
    for (ratio, label) in [
        (0.01, "1/100"),
        (0.1, "1/10"),
        (0.2, "1/5"),
        (0.5, "1/2"),
        (1.0, "1"),
        (2.0, "2"),
        (5.0, "5"),
        (10.0, "10"),
        (100.0, "100"),
    ] {
        let x = place(ratio);
        let (colour, width) = match label {
            "1" => ("#222222", 1.5),
            _ => ("#d5d8dc", 1.0),
        };
        let line = Line::new()
            .set("x1", x)
            .set("x2", x)
            .set("y1", TOP)
            .set("y2", bottom)
            .set("stroke", colour)
            .set("stroke-width", width);
        group = group.add(line);
        for y in [TOP - 8.0, bottom + 20.0] {
            group = group.add(words(x, y, 12.0, "middle", label).set("fill", "#555555"));
        }
    }
    group
}

fn legend(table: &Table, ours: &str) -> Group {
    let mut group = Group::new();
    let mut x = 24.0;
    for (at, column) in table.columns.iter().enumerate() {
        if column == ours {
            continue;
        }
        group =
            group
                .add(mark(x + 6.0, 92.0, at))
                .add(words(x + 18.0, 97.0, 14.0, "start", column));
        x += 44.0 + column.len() as f64 * 7.6;
    }
    group
}

fn draw_band(band: &Band, y: f64) -> Group {
    let middle = y + BAND / 2.0;
    let title = words(LEFT - 14.0, middle + 4.5, 13.0, "end", &band.title);
    let mut group = Group::new().add(title);
    let mut taken: Vec<f64> = Vec::new();
    for (column, ratio) in &band.marks {
        let x = place(*ratio);
        // Marks that would hide each other stand one above the other.
        let near = taken
            .iter()
            .filter(|other| (**other - x).abs() < 9.0)
            .count();
        let lift = [0.0, -5.5, 5.5, -8.0, 8.0][near.min(4)];
        taken.push(x);
        group = group.add(mark(x, middle + lift, *column));
        if !(1.0 / LIMIT..=LIMIT).contains(ratio) {
            let number = format!("{ratio:.0}x");
            group = group.add(words(x - 10.0, middle + 4.0, 11.0, "end", &number));
        }
    }
    group
}

fn mark(x: f64, y: f64, column: usize) -> Circle {
    Circle::new()
        .set("cx", x)
        .set("cy", y)
        .set("r", 5.5)
        .set("fill", COLOURS[column % COLOURS.len()])
        .set("stroke", "#ffffff")
        .set("stroke-width", 1)
}

fn rectangle(x: f64, y: f64, width: f64, height: f64, fill: &str) -> Rectangle {
    Rectangle::new()
        .set("x", x)
        .set("y", y)
        .set("width", width)
        .set("height", height)
        .set("fill", fill)
}

fn words(x: f64, y: f64, size: f64, anchor: &str, text: &str) -> Text {
    Text::new(text)
        .set("x", x)
        .set("y", y)
        .set("font-size", size)
        .set("text-anchor", anchor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Figures, Row};

    #[test]
    fn what_is_better_stands_right_whichever_way_is_good() {
        let columns = ["kernel", "ours", "other"].map(str::to_owned);
        let mut table = Table::new(&columns);
        for (key, better) in [("rate", Better::More), ("cost", Better::Less)] {
            let mut figures = Figures::new(&columns);
            figures.push(1, 10.0);
            figures.push(2, 5.0);
            let row = Row {
                key: key.to_owned(),
                title: key.to_owned(),
                better,
            };
            table.push(row, figures);
        }
        let bands = bands(&table, "ours");
        assert_eq!(bands[0].marks, [(2, 2.0)]);
        assert_eq!(bands[1].marks, [(2, 0.5)]);
        assert!(place(2.0) > place(1.0) && place(0.5) < place(1.0));
        assert!((place(1e9) - RIGHT).abs() < 1e-6, "drawn at the edge");
    }
}
