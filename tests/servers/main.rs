//! Duet as a whole, on real servers: a module per behaviour. Needs `make setup`.
