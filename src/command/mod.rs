//! What each write command means.
