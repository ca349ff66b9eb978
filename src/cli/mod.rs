//! (to be written)
pub mod health;
