//! The JSON Schema of a scenario: it agrees with the reader of scenarios, and is the one that is shipped.

mod agreement;
mod coverage;
mod shipped;
mod validator;
