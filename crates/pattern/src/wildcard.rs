//! `wildcard`: `*` stands for any text, `\*` for a star, `\\` for a backslash.

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wildcard {
    /// The texts between the stars: one more than there are stars.
    parts: Vec<Box<str>>,
}

impl Wildcard {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut part, mut after_star) = (Vec::new(), String::new(), false);
        let mut chars = text.chars().enumerate();
        while let Some((at, c)) = chars.next() {
            match c {
                '*' if after_star => return Err(format!("Consecutive wildcard characters at pos {at}")),
                '*' => parts.push(std::mem::take(&mut part).into()),
                '\\' => match chars.next() {
                    Some((_, c @ ('*' | '\\'))) => part.push(c),
                    _ => return Err(format!("Invalid escape character at pos {at}")),
                },
                c => part.push(c),
            }
            after_star = c == '*';
        }
        parts.push(part.into());
        Ok(Self { parts })
    }

    /// The text that everything it matches begins with.
    pub(super) fn prefix(&self) -> &str {
        &self.parts[0]
    }

    /// Whether it is [`Wildcard::prefix`] and nothing else: it has no star.
    pub(super) fn is_exact(&self) -> bool {
        self.parts.len() == 1
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let (first, rest) = self.parts.split_first().expect("a wildcard has one part at least");
        let Some((last, between)) = rest.split_last() else { return *text == **first };
        let Some(inner) = text.strip_prefix(&**first).and_then(|text| text.strip_suffix(&**last)) else {
            return false;
        };
        // The leftmost place of each part leaves the most for those behind it.
        let mut left = inner;
        between.iter().all(|part| match left.find(&**part) {
            Some(at) => {
                left = &left[at + part.len()..];
                true
            }
            None => false,
        })
    }
}
