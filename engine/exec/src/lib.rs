//! Tables, scans and sessions of genokura on Apache DataFusion.
