//! An answer of a host as JSON in the host's own order, and the same as lines for people.
//!
//! `serde_json` sorts the names of a record; here they stay as they were said, since that is the order in which people read them.

use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::Number;

/// A JSON document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Document {
    Null,
    Flag(bool),
    Number(Number),
    Text(String),
    List(Vec<Self>),
    Record(Vec<(String, Self)>),
}

impl Document {
    /// A record of these.
    pub(crate) fn record<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Record(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A member of a record.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Record(members) = self else { return None };
        members.iter().find(|(it, _)| it == name).map(|(_, value)| value)
    }

    /// The text of a member, if it is one.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Self::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The number of a member, if it is a whole one.
    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(Self::Number(number)) => number.as_i64(),
            _ => None,
        }
    }

    /// The items of a member, if it is a list.
    pub(crate) fn items(&self, name: &str) -> &[Self] {
        match self.get(name) {
            Some(Self::List(items)) => items,
            _ => &[],
        }
    }

    /// As JSON, indented.
    pub(crate) fn json(&self) -> String {
        // Texts and numbers cannot fail to be JSON.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// As lines: names and values, what is nested indented, an empty line between records of a list.
    pub(crate) fn lines(&self) -> String {
        let mut text = String::new();
        self.write(0, &mut text);
        text
    }

    fn write(&self, depth: usize, into: &mut String) {
        let pad = "  ".repeat(depth);
        match self {
            Self::Record(members) => {
                for (name, value) in members {
                    // Writing into a String cannot fail.
                    if value.is_nested() {
                        let _ = writeln!(into, "{pad}{name}:");
                        value.write(depth + 1, into);
                    } else {
                        let _ = writeln!(into, "{pad}{name}: {}", value.word());
                    }
                }
            }
            Self::List(items) if !items.is_empty() => {
                for (n, item) in items.iter().enumerate() {
                    if n > 0 && matches!(item, Self::Record(_)) {
                        into.push('\n');
                    }
                    item.write(depth, into);
                }
            }
            word => {
                let _ = writeln!(into, "{pad}{}", word.word());
            }
        }
    }

    const fn is_nested(&self) -> bool {
        match self {
            Self::Record(_) => true,
            Self::List(items) => !items.is_empty(),
            _ => false,
        }
    }

    /// In one word, where it is not nested.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Null => "-".to_owned(),
            Self::Flag(yes) => yes.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::List(_) | Self::Record(_) => "none".to_owned(),
        }
    }
}

impl From<&str> for Document {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Document {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Document {
    fn from(yes: bool) -> Self {
        Self::Flag(yes)
    }
}

impl From<i64> for Document {
    fn from(number: i64) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for Document {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Document {
    fn from(number: usize) -> Self {
        Self::Number(number.into())
    }
}

impl<T: Into<Self>> From<Option<T>> for Document {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(yes) => serializer.serialize_bool(*yes),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Record(members) => {
                let mut record = serializer.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(name, value)| record.serialize_entry(name, value))?;
                record.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Document, E> {
        Ok(yes.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Document, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Document, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Document, E> {
        Ok(Number::from_f64(number).map_or(Document::Null, Document::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Document, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Document, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Document::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut record: A) -> Result<Document, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = record.next_entry()? {
            members.push(member);
        }
        Ok(Document::Record(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_stays_as_it_was_said() {
        let text = r#"{"b":1,"a":[{"z":null,"y":true},{"z":-2}],"c":[],"d":{"e":"x","f":1.5}}"#;
        let document: Document = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&document).unwrap(), text);
        let lines = "b: 1\na:\n  z: -\n  y: true\n\n  z: -2\nc: none\nd:\n  e: x\n  f: 1.5\n";
        assert_eq!(document.lines(), lines);
        assert_eq!(Document::List(Vec::new()).lines(), "none\n");
        assert_eq!(document.get("d").and_then(|it| it.text("e")), Some("x"));
    }
}
