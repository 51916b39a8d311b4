//! What is wrong with a request whatever the state is, and the checks of text and counts that every request shares.

use crate::ground::{
    codec,
    ids::{NetworkId, PublicKey},
    limits,
    weight::Weight,
};

/// Why no state could make a transaction valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Invalid {
    /// The bytes are not a transaction.
    #[error("not a transaction: {0}")]
    Malformed(#[from] codec::DecodeError),
    /// The transaction has too many bytes.
    #[error("the transaction has {0} bytes; at most {max} are allowed", max = limits::TRANSACTION_SIZE_BYTES)]
    TooLarge(usize),
    /// It was made for another network.
    #[error("the transaction is for network {found}; this is network {expected}")]
    #[strum(serialize = "wrong_network")]
    Network {
        /// The network it names.
        found: NetworkId,
        /// The network of this peer.
        expected: NetworkId,
    },
    /// It names no signer, or more than an account can have keys.
    #[error("the transaction names {0} signers; 1 to {max} are allowed", max = limits::TRANSACTION_SIGNATURES)]
    SignerCount(usize),
    /// It does not have exactly one signature for each signer.
    #[error(
        "the transaction names {signers} signers and carries {signatures} signatures; it needs the signature of each \
         signer, in their order, and no other"
    )]
    SignatureCount {
        /// Number of keys it names.
        signers: usize,
        /// Number of signatures it carries.
        signatures: usize,
    },
    /// A key appears twice.
    #[error("key {0} signs the transaction twice")]
    RepeatedKey(PublicKey),
    /// A signature does not verify.
    #[error("the signature of key {0} does not verify: sign the transaction's exact bytes with that key")]
    #[strum(serialize = "bad_signature")]
    Signature(PublicKey),
    /// It is too much work for every peer.
    #[error(
        "the transaction weighs {0}, more than the {max} that one sender has in a block; ask for less at a time",
        max = limits::SENDER_WEIGHT
    )]
    TooHeavy(Weight),
    /// An action breaks a rule of form.
    #[error("{field}: {problem}")]
    #[strum(serialize = "bad_form")]
    Form {
        /// The field of the action.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

impl Invalid {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// Refuses what [`check_text`] refuses, and also line breaks and tabs: for text that is shown on a line of its own,
/// where text after a break could pass for somebody else's words.
pub(crate) fn check_line(field: &'static str, text: &str, max_bytes: usize) -> Result<(), Invalid> {
    check_text(field, text, max_bytes)?;
    if text.contains(['\n', '\t']) {
        return Err(Invalid::Form { field, problem: "holds a line break or a tab; write it in one line".into() });
    }
    Ok(())
}

/// Whether a character is invisible, or changes how its neighbours are read: a text that contains one can look like
/// another text. These are the characters with the Unicode properties `Bidi_Control` and `Default_Ignorable_Code_Point`
/// (Unicode 16), except joiners and variation selectors, which scripts and emoji need, and the soft hyphen.
const fn is_deceptive(c: char) -> bool {
    matches!(
        c,
        '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}'
            | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Refuses a text of more than `max_bytes`, or with characters that a reader cannot recognise: control characters other
/// than line breaks and tabs, and those that are invisible or change the direction of writing.
pub(crate) fn check_text(field: &'static str, text: &str, max_bytes: usize) -> Result<(), Invalid> {
    if text.len() > max_bytes {
        return Err(Invalid::Form { field, problem: format!("{} bytes; at most {max_bytes} are allowed", text.len()) });
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(Invalid::Form { field, problem: "holds control characters; remove them".into() });
    }
    if let Some(c) = text.chars().find(|c| is_deceptive(*c)) {
        let problem = format!("holds the invisible character U+{:04X}; remove it", u32::from(c));
        return Err(Invalid::Form { field, problem });
    }
    Ok(())
}

/// Refuses a blank text. `problem` says what to do instead.
pub(crate) fn check_said(field: &'static str, text: &str, problem: &str) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::Form { field, problem: problem.into() });
    }
    Ok(())
}

/// Refuses a list of more than `max` entries.
pub(crate) fn check_count(field: &'static str, count: usize, max: usize) -> Result<(), Invalid> {
    if count > max {
        return Err(Invalid::Form { field, problem: format!("{count} entries; at most {max} are allowed") });
    }
    Ok(())
}
