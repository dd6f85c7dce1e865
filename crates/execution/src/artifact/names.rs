//! What an entry may be called.

use lambent_core::ports::CodeRefusal;

use super::archive::corrupt;

/// The kernel's NAME_MAX.
const COMPONENT_BYTES_MAX: usize = 255;

/// Directories above an entry. Nothing real comes near; the tools that clean up walk every one of them.
const LEVELS_MAX: usize = 255;

/// The kernel's PATH_MAX less room for the path under which the package is kept.
const PATH_BYTES_MAX: usize = 3_072;

/// Characters of a name that a refusal repeats.
const SHOWN_CHARS_MAX: usize = 200;

/// The upper half of code page 437, in which names without the UTF-8 flag are written.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The name as text. Tools on Linux write UTF-8 without saying so: what is not UTF-8 is code page 437.
pub(super) fn decode(raw: &[u8], flagged_utf8: bool) -> Result<String, CodeRefusal> {
    match std::str::from_utf8(raw) {
        Ok(name) => Ok(name.to_owned()),
        Err(_) if flagged_utf8 => Err(corrupt("an entry's name is not the UTF-8 that it claims to be")),
        Err(_) => Ok(raw.iter().map(|byte| cp437(*byte)).collect()),
    }
}

fn cp437(byte: u8) -> char {
    match byte {
        0..=127 => byte.into(),
        _ => CP437.chars().nth(usize::from(byte - 128)).unwrap_or('?'),
    }
}

/// The name as a refusal may repeat it.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(SHOWN_CHARS_MAX).collect()
}

pub(super) fn forbidden(name: &str, detail: impl Into<String>) -> CodeRefusal {
    CodeRefusal::ForbiddenEntry { entry: shortened(name), detail: detail.into() }
}

/// The components from the package's root down; none for the root itself. Refuses whatever would not stay
/// below the root, here or on another system, and what a file system could not hold.
pub(super) fn components(name: &str) -> Result<Vec<&str>, CodeRefusal> {
    let refuse = |detail| Err(forbidden(name, detail));
    if name.is_empty() {
        return refuse("the name is empty");
    }
    if name.contains('\0') {
        return refuse("the name holds a NUL");
    }
    if name.contains('\\') {
        return refuse("the name holds a backslash; archives separate directories by /");
    }
    if name.starts_with('/') {
        return refuse("the name is absolute");
    }
    if matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        return refuse("the name begins with a drive letter");
    }
    if name.len() > PATH_BYTES_MAX {
        return refuse("the name is too long");
    }
    let components: Vec<_> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if components.contains(&"..") {
        return refuse("the name leads out of the package");
    }
    if components.iter().any(|part| part.len() > COMPONENT_BYTES_MAX) {
        return refuse("a part of the name is longer than 255 bytes");
    }
    if components.len() > LEVELS_MAX {
        return refuse("it lies more than 255 directories deep");
    }
    Ok(components)
}
