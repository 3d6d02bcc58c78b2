//! What is generated from the tables of the language: the JSON Schema agrees with the reader, every word is explained by examples that do
//! what they say, and what is shipped is what is generated.

mod agreement;
mod coverage;
mod explained;
mod shipped;
mod validator;
