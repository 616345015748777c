//! What a primary sends, made into changes.

pub mod rebuild;
