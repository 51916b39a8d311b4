//! Answers for people: tables and lists of fields that fit into 80 columns.

/// The alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A table without rules: a line of headings, then one line per entry.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A heading that starts with `>` makes a column of numbers, aligned to the right.
    pub(super) fn new(headings: &[&'static str]) -> Self {
        let column = |heading: &&'static str| match heading.strip_prefix('>') {
            Some(heading) => (heading, Align::Right),
            None => (*heading, Align::Left),
        };
        Self { columns: headings.iter().map(column).collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table, or `empty` if it has no rows.
    pub(super) fn show(&self, empty: &str) -> String {
        if self.rows.is_empty() {
            return empty.to_owned();
        }
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, (heading, _))| {
                let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count());
                cells.chain([heading.len()]).max().unwrap_or(0)
            })
            .collect();
        let headings: Vec<String> = self.columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        let mut text = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, width), (_, align)) in row.iter().zip(&widths).zip(&self.columns) {
                match align {
                    Align::Left => line.push_str(&format!("{cell:<width$}  ")),
                    Align::Right => line.push_str(&format!("{cell:>width$}  ")),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Names and values, one per line.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, String)>);

impl Fields {
    pub(super) fn add(&mut self, name: &'static str, value: impl std::fmt::Display) -> &mut Self {
        self.0.push((name, value.to_string()));
        self
    }

    /// Adds a line unless the value is `None`.
    pub(super) fn add_some(&mut self, name: &'static str, value: Option<impl std::fmt::Display>) -> &mut Self {
        if let Some(value) = value {
            self.add(name, value);
        }
        self
    }

    pub(super) fn show(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &self.0 {
            let mut lines = value.lines();
            text.push_str(format!("{name:<width$}  {}", lines.next().unwrap_or("")).trim_end());
            text.push('\n');
            for line in lines {
                text.push_str(format!("{:<width$}  {line}", "").trim_end());
                text.push('\n');
            }
        }
        text
    }
}

/// The handle if there is one, otherwise the start of the id.
pub(super) fn who(handle: Option<&impl std::fmt::Display>, id: impl std::fmt::Display) -> String {
    handle.map_or_else(|| short(id), ToString::to_string)
}

/// The start of an id, enough to distinguish it from others in a table.
pub(super) fn short(id: impl std::fmt::Display) -> String {
    cut(&id.to_string(), 12)
}

/// A text truncated to a number of characters, with line breaks replaced by spaces.
pub(super) fn cut(text: &str, characters: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= characters {
        return line;
    }
    let mut cut: String = line.chars().take(characters.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A text in lines of at most `width` characters, each indented by `indent` spaces; words are never broken.
pub(super) fn wrap(text: &str, indent: usize, width: usize) -> String {
    let margin = " ".repeat(indent);
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        let is_full = !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > width;
        if is_full {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.iter().map(|line| format!("{margin}{line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_lean_right() {
        let mut table = Table::new(&["HOLDER", ">UNITS"]);
        table.row(["northfield".into(), "400".into()]);
        table.row(["bay".into(), "1,000,000".into()]);
        assert_eq!(table.show("none"), "HOLDER          UNITS\nnorthfield        400\nbay         1,000,000\n");
        assert_eq!(Table::new(&["X"]).show("none"), "none");
    }

    #[test]
    fn fields_keep_long_values_under_themselves() {
        let mut fields = Fields::default();
        fields.add("name", "a/b").add("text", "one\ntwo").add_some("none", None::<String>);
        assert_eq!(fields.show(), "name  a/b\ntext  one\n      two\n");
    }

    #[test]
    fn texts_are_wrapped_between_words() {
        assert_eq!(wrap("one two three", 2, 9), "  one two\n  three");
        assert_eq!(wrap("unbreakable", 2, 5), "  unbreakable");
        assert_eq!(wrap("", 2, 5), "  ");
    }

    #[test]
    fn long_texts_are_cut_to_whole_characters() {
        assert_eq!(cut("añb\ncd", 80), "añb cd");
        assert_eq!(cut("ññññ", 3), "ññ…");
    }
}
