//! References: parts of a value that stand elsewhere.
//!
//! `${secret:NAME}` is a secret that a provider gives, `${env:NAME}` a variable; `${env:NAME:-word}` and `${NAME:-word}` have a
//! word for a variable that is not set or empty. `$${` is a `${` that means nothing. They may stand in any value of any layer,
//! and are looked at once all layers are merged: what is overruled need not exist.
//!
//! A variable is put in its place before the value is checked, so it may be a number or a list's only item. What a variable
//! says is never looked through for references. A secret goes only where the type keeps it (`writeOnly` in the schema, or one
//! of the two keywords here), so that nothing else ever holds one. What is shown of such a value is what was written.
//!
//! Commands are left as they are (`x-verbatim`): a shell has references of its own, and the words of a command are seen by all.

mod circle;
mod expand;
mod syntax;

pub(crate) use expand::{Context, Expanded, Written, expand};
pub use expand::{Mention, References};
pub(crate) use syntax::{Kind, parse};
