//! Tables of text: at most 80 columns for a person, whole values for a program.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::output::{Output, Role};

/// Narrow enough for every terminal.
const COLUMNS: u16 = 80;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Renders rows under their headings. Long values are folded for a person and left whole for a program.
pub fn render(output: &Output, heading: &[(&str, Align)], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if output.terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(COLUMNS);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(heading.iter().map(|(title, _)| *title));
    table.add_rows(rows);
    for (index, (_, align)) in heading.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, if index + 1 == heading.len() { 0 } else { 2 }));
            column.set_cell_alignment(match align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
        }
    }
    let mut lines = table.lines().map(|line| line.trim_end().to_owned());
    let head = lines.next().map(|line| output.paint(Role::Faint, &line)).unwrap_or_default();
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

/// `3.4 MB`, in powers of 1,024 as the AWS console has it.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A stretch of time as a person says it: `850 ms`, `12.3 s`, `4 min`, `3 h`, `12 days`.
pub fn span(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 100.0 => format!("{s:.1} s"),
        s if s < 5_400.0 => format!("{:.0} min", s / 60.0),
        s if s < 129_600.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// The text, shortened where it is longer.
pub fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max - 1).collect();
    format!("{kept}…")
}

/// `999`, `12.3k`, `4.5M`: a column of seven characters holds any count.
pub fn count(number: u64) -> String {
    match number {
        n if n < 10_000 => n.to_string(),
        n if n < 999_950 => format!("{:.1}k", n as f64 / 1e3),
        n if n < 999_950_000 => format!("{:.1}M", n as f64 / 1e6),
        n => format!("{:.1}G", n as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn sizes_and_spans_are_short() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (1_048_575, "1.0 MB")] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "16777216.0 TB");
        for (seconds, text) in
            [(0.5, "500 ms"), (1.26, "1.3 s"), (120.0, "2 min"), (7200.0, "2 h"), (1e6, "12 days")]
        {
            assert_eq!(span(Duration::from_secs_f64(seconds)), text);
        }
    }

    #[test]
    fn a_table_for_a_person_fits_80_columns() {
        let person = Output::for_person();
        let heading = [("NAME", Align::Left), ("ARN", Align::Left), ("SIZE", Align::Right)];
        let row = vec!["n".repeat(64), "a".repeat(90), "1.0 KB".to_owned()];
        let text = render(&person, &heading, vec![row.clone()]);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let program = render(&Output::plain(), &heading, vec![row.clone()]);
        assert!(program.contains(&row[0]) && program.contains(&row[1]));
    }

    #[test]
    fn counts_are_short() {
        for (number, text) in
            [(0, "0"), (9_999, "9999"), (12_345, "12.3k"), (999_949, "999.9k"), (1_500_000, "1.5M")]
        {
            assert_eq!(count(number), text);
        }
        assert!(count(99_999_000_000).len() <= 7);
    }
}
