//! Roles: who may connect, what each may read, and how much of the machine each may take.
//!
//! Roles live in one TOML file beside the server, never in the lake: the query server needs no right to write the
//! lake, and whoever may read a lake's files learns no key. `genokura role` and an admin's SQL write the file; a
//! running server sees a change with the next statement. Deny by default: a role without a grant sees no table.
//!
//! Invariants: the file is readable by its owner only; it holds no password and no salted password; once a server
//! has asked for passwords it never stops asking, whatever becomes of the file.
pub mod grant;
mod list;
mod names;
mod role;
pub mod secret;
mod store;
#[cfg(test)]
mod tests;

pub use grant::{Grant, GrantError, Target};
pub use list::Roles;
pub use role::{Mask, PUBLIC, Public, Rights, Role, RoleLimits, check_name, check_new_name};
pub use secret::ScramKeys;
pub(crate) use store::check_mode;
pub use store::{Authorised, RoleStore};
