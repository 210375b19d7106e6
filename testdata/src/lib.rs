//! Seeded test data: the simulated cohort, clinical tables and gene spans.
