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
}
