//! Access paths of conditions.
