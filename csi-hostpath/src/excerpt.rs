//! What an error text shows of a value that came from outside.

/// Characters shown at most.
const LONGEST: usize = 60;

/// `text` in quotes with everything unprintable escaped, and only its beginning when it is long. A terminal and a log
/// line take it as it is.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}... ({} bytes)", &text[..end], text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn only_long_texts_are_cut_and_never_inside_a_character() {
        assert_eq!(excerpt("a\0\"b\""), r#""a\0\"b\"""#);
        let long = "é".repeat(60);
        assert_eq!(excerpt(&long), format!("\"{long}\""));
        let longer = "é".repeat(61);
        assert_eq!(excerpt(&longer), format!("\"{long}\"... (122 bytes)"));
    }
}
