//! Records of one kind for people: a line each, in columns.
//!
//! What is too long to tell apart at a glance is in the record itself, which another command shows. Deliberately absent: a width of the
//! terminal; what is long comes last.

use std::fmt::Write as _;

use super::document::Document;

/// As many digits of a digest tell a domain's components apart.
const DIGEST_DIGITS: usize = 12;

/// A heading, and a line for each record with these of its members.
pub(crate) fn table(records: &[Document], columns: &[&str]) -> String {
    let heading = columns.iter().map(|name| name.replace('_', " ").to_uppercase()).collect();
    let cells = |record: &Document| columns.iter().map(|name| cell(record, name)).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(records.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            // Writing into a String cannot fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn cell(record: &Document, name: &str) -> String {
    let word = record.get(name).map_or_else(|| Document::Null.word(), Document::word);
    if name == "digest" { word.chars().take(DIGEST_DIGITS).collect() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let records: Document = serde_json::from_str(
            r#"[{"domain":"a","state":"live","digest":"0123456789abcdef","last_error":null,"more":1},
                {"domain":"rate-limit","state":"refused","digest":"","last_error":"no: \u00fc"}]"#,
        )
        .unwrap();
        let Document::List(records) = records else { unreachable!("it is a list") };
        assert_eq!(
            table(&records, &["domain", "state", "digest", "last_error"]),
            "DOMAIN      STATE    DIGEST        LAST ERROR\n\
             a           live     0123456789ab  -\n\
             rate-limit  refused                no: \u{fc}\n"
        );
        assert_eq!(table(&[], &["domain"]), "DOMAIN\n");
    }
}
