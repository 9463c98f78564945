//! runtime-glommio
