//! The fields of a JSON object, as events carry them (RFC 8259).
//!
//! The text is checked to its end before anything in it is believed. To ask for a field that comes twice is an error:
//! readers disagree on which one counts, and a policy must not see another user than the services do. Objects and arrays
//! within are checked and passed over.
//!
//! Deliberately absent: fractions (reading them is most of what a small policy would weigh), fields of fields, writing.

/// How deep objects and arrays may lie in one another.
const DEPTH_MAX: u8 = 16;

/// An object with its fields.
#[derive(Debug)]
pub struct Object {
    fields: Vec<(String, Field)>,
}

#[derive(Debug)]
enum Field {
    Text(String),
    /// As written; RFC 8259 bounds no number.
    WholeNumber(String),
    /// Anything else: it was right, and nobody can ask for it.
    Other,
}

impl Object {
    /// Reads a text that is one object.
    ///
    /// # Errors
    /// What is wrong, and at which byte.
    ///
    /// ```
    /// # use larder_policy::json::Object;
    /// let payload = Object::parse(r#"{"userId": 42, "conversationId": "général", "read": true}"#)?;
    /// assert_eq!(payload.text("userId"), Ok("42"));
    /// assert_eq!(payload.text("conversationId"), Ok("général"));
    /// assert_eq!(payload.number("userId"), Ok(42));
    /// assert!(payload.text("read").is_err());
    /// # Ok::<(), String>(())
    /// ```
    pub fn parse(json: &str) -> Result<Self, String> {
        let mut reader = Reader { json, at: 0 };
        match reader.whole() {
            Ok(fields) => Ok(Self { fields }),
            Err(wanted) => Err(format!("no JSON object: {wanted} at byte {}", reader.at)),
        }
    }

    /// A text, or a whole number as it is written: what names somebody or something.
    ///
    /// # Errors
    /// There is no such field, there are two, or it is something else.
    pub fn text(&self, name: &str) -> Result<&str, String> {
        match self.find(name)? {
            Some(Field::Text(text) | Field::WholeNumber(text)) => Ok(text),
            _ => Err(format!("the field `{name}` must be a text or a whole number")),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// There is no such field, there are two, it is something else, or it does not fit.
    pub fn number(&self, name: &str) -> Result<i64, String> {
        let number = match self.find(name)? {
            Some(Field::WholeNumber(text)) => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| format!("the field `{name}` must be a whole number"))
    }

    fn find(&self, name: &str) -> Result<Option<&Field>, String> {
        let mut found = self.fields.iter().filter(|(known, _)| known == name).map(|(_, field)| field);
        let first = found.next();
        if found.next().is_some() { Err(format!("the field `{name}` comes twice")) } else { Ok(first) }
    }
}

/// Reads from front to back. Errors are what was wanted at `at`.
struct Reader<'a> {
    json: &'a str,
    at: usize,
}

type Wanted = &'static str;

impl Reader<'_> {
    fn whole(&mut self) -> Result<Vec<(String, Field)>, Wanted> {
        let mut fields = Vec::new();
        self.space();
        self.object(0, &mut |name, field| fields.push((name, field)))?;
        self.space();
        if self.at == self.json.len() { Ok(fields) } else { Err("the end is wanted") }
    }

    fn object(&mut self, depth: u8, keep: &mut dyn FnMut(String, Field)) -> Result<(), Wanted> {
        self.list(b'{', b'}', "`,` or `}` is wanted", &mut |reader| {
            let name = reader.string()?;
            reader.space();
            reader.expect(b':', "`:` is wanted")?;
            reader.space();
            let field = reader.value(depth)?;
            keep(name, field);
            Ok(())
        })
    }

    fn value(&mut self, depth: u8) -> Result<Field, Wanted> {
        if depth == DEPTH_MAX {
            return Err("less depth is wanted");
        }
        match self.peek() {
            Some(b'"') => return self.string().map(Field::Text),
            Some(b'-' | b'0'..=b'9') => return self.number(),
            Some(b'{') => self.object(depth + 1, &mut |_, _| ())?,
            Some(b'[') => {
                self.list(b'[', b']', "`,` or `]` is wanted", &mut |reader| reader.value(depth + 1).map(drop))?;
            }
            _ => {
                let word = ["true", "false", "null"].into_iter().find(|word| self.rest().starts_with(word.as_bytes()));
                self.at += word.ok_or("a value is wanted")?.len();
            }
        }
        Ok(Field::Other)
    }

    /// Items between brackets, with commas between them.
    fn list(
        &mut self,
        open: u8,
        close: u8,
        wanted: Wanted,
        item: &mut dyn FnMut(&mut Self) -> Result<(), Wanted>,
    ) -> Result<(), Wanted> {
        self.expect(open, "`{` is wanted")?;
        self.space();
        if self.skip(close) {
            return Ok(());
        }
        loop {
            self.space();
            item(self)?;
            self.space();
            if self.skip(close) {
                return Ok(());
            }
            self.expect(b',', wanted)?;
        }
    }

    fn number(&mut self) -> Result<Field, Wanted> {
        let start = self.at;
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        }
        let whole = self.at;
        if self.skip(b'.') {
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _ = self.skip(b'+') || self.skip(b'-');
            self.digits()?;
        }
        Ok(if self.at == whole { Field::WholeNumber(self.slice(start, whole).into()) } else { Field::Other })
    }

    fn digits(&mut self) -> Result<(), Wanted> {
        let count = self.count(u8::is_ascii_digit);
        self.at += count;
        if count == 0 { Err("a digit is wanted") } else { Ok(()) }
    }

    fn string(&mut self) -> Result<String, Wanted> {
        self.expect(b'"', "`\"` is wanted")?;
        let mut text = String::new();
        loop {
            let plain = self.count(|&byte| byte >= b' ' && byte != b'"' && byte != b'\\');
            // All bytes of other characters than those are plain, so this is the end of a character.
            text.push_str(self.slice(self.at, self.at + plain));
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escaped()?);
                }
                _ => return Err("the end of a text is wanted"),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Wanted> {
        let escape = self.peek().ok_or("an escape is wanted")?;
        let plain = match escape {
            b'"' | b'\\' | b'/' => char::from(escape),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.code_point();
            }
            _ => return Err("an escape is wanted"),
        };
        self.at += 1;
        Ok(plain)
    }

    /// `XXXX`, or the pair `XXXX\uXXXX` of a character beyond U+FFFF.
    fn code_point(&mut self) -> Result<char, Wanted> {
        const PAIR: Wanted = "a whole surrogate pair is wanted";
        let first = self.code_unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(PAIR);
        }
        if !(self.skip(b'\\') && self.skip(b'u')) {
            return Err(PAIR);
        }
        let second = self.code_unit()?.wrapping_sub(0xdc00);
        if second >= 0x400 {
            return Err(PAIR);
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + second).ok_or(PAIR)
    }

    fn code_unit(&mut self) -> Result<u32, Wanted> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|digit| char::from(digit).to_digit(16));
            unit = unit << 4 | digit.ok_or("a hex digit is wanted")?;
            self.at += 1;
        }
        Ok(unit)
    }

    fn space(&mut self) {
        self.at += self.count(|byte| b" \t\r\n".contains(byte));
    }

    fn expect(&mut self, byte: u8, wanted: Wanted) -> Result<(), Wanted> {
        if self.skip(byte) { Ok(()) } else { Err(wanted) }
    }

    /// Whether the next byte is this one, which is then behind.
    fn skip(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    /// How many of the next bytes are so.
    fn count(&self, is_so: fn(&u8) -> bool) -> usize {
        self.rest().iter().take_while(|byte| is_so(byte)).count()
    }

    fn rest(&self) -> &[u8] {
        self.json.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Both ends are those of characters. Said so, it needs no words for a panic, which weigh kilobytes.
    fn slice(&self, from: usize, to: usize) -> &str {
        self.json.get(from..to).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn text(json: &str, expect: &str) {
        let object = Object::parse(json);
        assert_eq!(object.as_ref().map(|object| object.text("a")), Ok(Ok(expect)), "{json}");
    }

    #[track_caller]
    fn refuses(json: &str, words: &str) {
        assert_eq!(Object::parse(json).map(drop), Err(words.into()), "{json}");
    }

    #[test]
    fn texts_are_read_with_their_escapes() {
        text(r#"{"a":"b"}"#, "b");
        text("\r\n\t {\"x\" : {\"a\":[1,{}]} , \"a\" :\"\" }\n", "");
        text(r#"{"a":"\"\\\/\b\f\n\r\t"}"#, "\"\\/\u{8}\u{c}\n\r\t");
        text(r#"{"\u0061":"é€😀\u00e9\u20AC\ud83d\ude00"}"#, "é€😀é€😀");
        text(r#"{"a":"\u0000"}"#, "\0");
    }

    #[test]
    fn whole_numbers_are_read_as_they_are_written() {
        for number in ["0", "-0", "42", "-9223372036854775808", "18446744073709551616"] {
            text(&format!("{{\"a\":{number}}}"), number);
        }
        let object = Object::parse(r#"{"a":-7,"b":1.5,"c":1e3,"d":"7","e":9223372036854775808}"#).unwrap();
        assert_eq!(object.number("a"), Ok(-7));
        for other in ["b", "c", "d", "e", "f"] {
            assert_eq!(object.number(other), Err(format!("the field `{other}` must be a whole number")));
        }
        assert_eq!(object.text("b"), Err("the field `b` must be a text or a whole number".into()));
    }

    #[test]
    fn what_is_not_one_object_is_refused_with_its_place() {
        refuses("", "no JSON object: `{` is wanted at byte 0");
        refuses("[]", "no JSON object: `{` is wanted at byte 0");
        refuses("{} {}", "no JSON object: the end is wanted at byte 3");
        refuses(r#"{"a":1,}"#, "no JSON object: `\"` is wanted at byte 7");
        refuses(r#"{"a" 1}"#, "no JSON object: `:` is wanted at byte 5");
        refuses(r#"{"a":tru}"#, "no JSON object: a value is wanted at byte 5");
        refuses(r#"{"a":[1 2]}"#, "no JSON object: `,` or `]` is wanted at byte 8");
        refuses("{\"a\":\"\n\"}", "no JSON object: the end of a text is wanted at byte 6");
        refuses(r#"{"a":"\x"}"#, "no JSON object: an escape is wanted at byte 7");
        refuses(r#"{"a":"\u+123"}"#, "no JSON object: a hex digit is wanted at byte 8");
        for number in ["01", "-", "1.", ".5", "1e", "+1", "0x1", "NaN"] {
            assert!(Object::parse(&format!("{{\"a\":{number}}}")).is_err(), "{number}");
        }
        for surrogates in [r"\ud800", r"\udc00", r"\ud800\ud800", r"\ud800x", r"\ud800\n"] {
            assert!(Object::parse(&format!("{{\"a\":\"{surrogates}\"}}")).is_err(), "{surrogates}");
        }
    }

    #[test]
    fn a_field_that_comes_twice_is_refused() {
        let object = Object::parse(r#"{"a":1,"b":2,"\u0061":3}"#).unwrap();
        assert_eq!(object.text("a"), Err("the field `a` comes twice".into()));
        assert_eq!(object.number("a"), Err("the field `a` comes twice".into()));
        assert_eq!(object.text("b"), Ok("2"));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(Object::parse(&nested(15)).is_ok());
        assert!(Object::parse(&nested(16)).is_ok());
        refuses(&nested(100_000), "no JSON object: less depth is wanted at byte 21");
    }

    #[test]
    fn no_text_makes_it_panic_and_no_part_of_an_object_is_one() {
        let whole = r#" {"a":"é\ud83d\ude00\n","b":[-1.5e+7,{"c":null}],"d":true} "#;
        assert!(Object::parse(whole).is_ok());
        for end in (0..whole.len() - 1).filter(|&end| whole.is_char_boundary(end)) {
            assert!(Object::parse(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
        for at in (0..whole.len()).filter(|&at| whole.is_char_boundary(at)) {
            for with in ["\"", "\\", "{", "}", "[", "]", ",", ":", "0", "-", "é", "\0", "u"] {
                let end = (at + 1..=whole.len()).find(|&end| whole.is_char_boundary(end)).unwrap();
                let _ = Object::parse(&format!("{}{with}{}", &whole[..at], &whole[at..]));
                let _ = Object::parse(&format!("{}{with}{}", &whole[..at], &whole[end..]));
            }
        }
    }
}
