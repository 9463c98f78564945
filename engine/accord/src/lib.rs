//! accord
