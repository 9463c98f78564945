//! Changes of the schema, from their text.
