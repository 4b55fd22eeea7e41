//! What an error text shows of a value that came from outside.

/// Bytes shown at most.
const LONGEST: usize = 60;

/// `text` in quotes with everything unprintable escaped, and only its beginning when it is long. A terminal and a log
/// line take it as it is.
pub fn excerpt(text: &str) -> String {
    if text.len() <= LONGEST {
        return format!("{text:?}");
    }
    let beginning = &text[..text.floor_char_boundary(LONGEST)];
    format!("{beginning:?}... ({} bytes)", text.len())
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn only_long_texts_are_cut_and_never_inside_a_character() {
        assert_eq!(excerpt("a\0\"b\""), r#""a\0\"b\"""#);
        let long = "é".repeat(30);
        assert_eq!(excerpt(&long), format!("\"{long}\""));
        let longer = format!("a{long}");
        let cut = "é".repeat(29);
        assert_eq!(excerpt(&longer), format!("\"a{cut}\"... (61 bytes)"));
    }
}
