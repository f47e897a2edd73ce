//! The page that shows providers side by side.

/// A provider's column in a page: the titles of the scenarios, and what they came to. Empty where there is no such column.
pub fn column(page: &str, name: &str) -> Vec<(String, String)> {
    let mut rows = page.lines().map(cells);
    let place = rows.find_map(|row| row?.iter().position(|cell| *cell == name));
    let Some(place) = place else { return Vec::new() };
    let is_rule = |row: &Vec<&str>| row.iter().all(|cell| cell.chars().all(|c| c == '-'));
    rows.map_while(|row| row)
        .filter(|row| !is_rule(row))
        .filter_map(|row| Some(((*row.first()?).to_owned(), (*row.get(place)?).to_owned())))
        .collect()
}

/// The cells of a table's row; `None` for any other line.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inside = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inside.split('|').map(str::trim).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_read_by_its_heading() {
        let page = "# Page\n\n| scenario | one | two |\n|---|---|---|\n| writes | yes | no: it cannot |\n| reads | yes | yes |\n\n| another | two |\n|---|---|\n";
        let row = |title: &str, came_to: &str| (title.to_owned(), came_to.to_owned());
        assert_eq!(column(page, "two"), [row("writes", "no: it cannot"), row("reads", "yes")]);
        assert_eq!(column(page, "three"), []);
    }
}
