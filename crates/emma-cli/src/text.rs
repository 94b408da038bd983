//! Text for people: aligned tables, long numbers.

use std::fmt::Write as _;

/// Appends rows of cells: the first column to the left, the others to the right, two spaces apart.
pub(crate) fn align(text: &mut String, rows: &[Vec<String>]) {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..n_columns).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            if column == 0 {
                let _ = write!(line, "  {cell:<width$}", width = widths[0]);
            } else {
                let _ = write!(line, "  {cell:>width$}", width = widths[column]);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// Text from a file, with what would end a line or steer a terminal written out.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

/// Appends rows of cells, all of them to the left, two spaces apart: for words rather than numbers.
pub(crate) fn align_left<const N: usize>(text: &mut String, rows: &[[String; N]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let padded = |row: &[String; N]| {
        let cells = row.iter().enumerate();
        cells
            .map(|(column, cell)| format!("{cell:<width$}", width = width(column).unwrap_or(0)))
            .collect()
    };
    // Cells of one width have no left and right any more.
    align(text, &rows.iter().map(padded).collect::<Vec<_>>());
}

/// A number with commas between its thousands.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Four significant digits, which is what people compare.
pub(crate) fn number(value: f64) -> String {
    if value == 0. {
        return "0".into();
    }
    let exponent = value.abs().log10().floor() as i32;
    if !(-4..6).contains(&exponent) {
        return format!("{value:.3e}");
    }
    let decimals = usize::try_from(3 - exponent).unwrap_or(0);
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(1639), "1,639");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }

    #[test]
    fn nothing_from_a_file_steers_the_terminal() {
        assert_eq!(printable("a\nb\u{1b}[31m é"), "a\\nb\\u{1b}[31m é");
    }

    #[test]
    fn words_start_in_line() {
        let rows = [["a", "b", "long"], ["cd", "efg", "h"]].map(|row| row.map(str::to_owned));
        let mut text = String::new();
        align_left(&mut text, &rows);
        assert_eq!(text, "  a   b    long\n  cd  efg  h\n");
    }

    #[test]
    fn cells_line_up() {
        let rows = [["a", "1"], ["bcd", "234"]].map(|row| row.map(str::to_owned).to_vec());
        let mut text = String::new();
        align(&mut text, &rows);
        assert_eq!(text, "  a      1\n  bcd  234\n");
    }

    #[test]
    fn numbers_have_four_digits() {
        for (value, expected) in [
            (0., "0"),
            (1., "1.000"),
            (-0.123_456, "-0.1235"),
            (17.123_45, "17.12"),
            (123_456.7, "123457"),
            (1.5e9, "1.500e9"),
            (2.5e-7, "2.500e-7"),
            (0.9999, "0.9999"),
        ] {
            assert_eq!(number(value), expected);
        }
    }
}
