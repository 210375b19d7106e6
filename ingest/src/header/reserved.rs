//! The keys VCF 4.5 reserves in INFO (sections 1.6.1, 3 and 5) and FORMAT (1.6.2, 3, 4), with the
//! version from which a declaration must agree.

use genokura_core::schema::{FieldType, Number};

use FieldType::{Flag, Float, Integer, String as Text};
use Number::{A, Count, G, LA, LG, LR, P, R, Unknown};

/// A reserved key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reserved {
    /// The key.
    pub key: &'static str,
    /// Its Number.
    pub number: Number,
    /// Its Type.
    pub ty: FieldType,
    /// Minor version of VCF 4 from which the specification has exactly this definition.
    pub since: u32,
}

impl Reserved {
    /// Whether a file of this version must declare the key as the specification does. An unknown
    /// version counts as the newest.
    #[must_use]
    pub fn binds(&self, version: Option<(u32, u32)>) -> bool {
        version.is_none_or(|(_, minor)| minor >= self.since)
    }
}

const fn key(key: &'static str, number: Number, ty: FieldType, since: u32) -> Reserved {
    Reserved {
        key,
        number,
        ty,
        since,
    }
}

static INFO: &[Reserved] = &[
    key("AA", Count(1), Text, 0),
    key("AC", A, Integer, 1),
    key("AD", R, Integer, 3),
    key("ADF", R, Integer, 3),
    key("ADR", R, Integer, 3),
    key("AF", A, Float, 1),
    key("AN", Count(1), Integer, 0),
    key("BQ", Count(1), Float, 3),
    key("CIGAR", A, Text, 1),
    key("DB", Count(0), Flag, 0),
    key("DP", Count(1), Integer, 0),
    key("END", Count(1), Integer, 0),
    key("H2", Count(0), Flag, 0),
    key("H3", Count(0), Flag, 0),
    key("MQ", Count(1), Float, 3),
    key("MQ0", Count(1), Integer, 0),
    key("NS", Count(1), Integer, 0),
    key("SB", Count(4), Integer, 5),
    key("SOMATIC", Count(0), Flag, 0),
    key("VALIDATED", Count(0), Flag, 0),
    key("1000G", Count(0), Flag, 0),
    key("IMPRECISE", Count(0), Flag, 0),
    key("NOVEL", Count(0), Flag, 0),
    key("SVTYPE", Count(1), Text, 0),
    key("SVLEN", A, Integer, 4),
    key("CIPOS", Unknown, Integer, 4),
    key("CIEND", Unknown, Integer, 4),
    key("CILEN", Unknown, Integer, 4),
    key("HOMLEN", A, Integer, 4),
    key("HOMSEQ", A, Text, 4),
    key("BKPTID", A, Text, 4),
    key("MEINFO", Unknown, Text, 4),
    key("METRANS", Unknown, Text, 4),
    key("DGVID", A, Text, 4),
    key("DBVARID", A, Text, 4),
    key("DBRIPID", A, Text, 4),
    key("MATEID", A, Text, 4),
    key("PARID", A, Text, 4),
    key("EVENT", A, Text, 4),
    key("EVENTTYPE", A, Text, 4),
    key("DPADJ", A, Integer, 4),
    key("CN", A, Float, 4),
    key("CNADJ", Unknown, Float, 4),
    key("CICN", Unknown, Float, 4),
    key("CICNADJ", Unknown, Float, 4),
    key("SVCLAIM", A, Text, 4),
    key("RN", A, Integer, 4),
    key("RUS", Unknown, Text, 4),
    key("RUL", Unknown, Integer, 4),
    key("RUC", Unknown, Float, 4),
    key("RB", Unknown, Integer, 4),
    key("CIRUC", Unknown, Float, 4),
    key("CIRB", Unknown, Integer, 4),
    key("RUB", Unknown, Integer, 4),
];

static FORMAT: &[Reserved] = &[
    key("AD", R, Integer, 3),
    key("ADF", R, Integer, 3),
    key("ADR", R, Integer, 3),
    key("DP", Count(1), Integer, 0),
    key("EC", A, Integer, 3),
    key("FT", Count(1), Text, 0),
    key("GL", G, Float, 1),
    key("GP", G, Float, 3),
    key("GQ", Count(1), Integer, 3),
    key("GT", Count(1), Text, 0),
    key("HQ", Count(2), Integer, 0),
    key("LA", Unknown, Integer, 5),
    key("LAA", Unknown, Integer, 5),
    key("LAD", LR, Integer, 5),
    key("LADF", LR, Integer, 5),
    key("LADR", LR, Integer, 5),
    key("LEC", LA, Integer, 5),
    key("LEN", Count(1), Integer, 5),
    key("LGL", LG, Float, 5),
    key("LGP", LG, Float, 5),
    key("LPL", LG, Integer, 5),
    key("LPP", LG, Integer, 5),
    key("MQ", Count(1), Integer, 3),
    key("PL", G, Integer, 1),
    key("PP", G, Integer, 4),
    key("PQ", Count(1), Integer, 3),
    key("PS", Count(1), Integer, 3),
    key("PSL", P, Text, 4),
    key("PSO", P, Integer, 4),
    key("PSQ", P, Integer, 4),
    key("CN", Count(1), Float, 4),
    key("CICN", Count(2), Float, 4),
    key("CNQ", Count(1), Float, 4),
    key("CNL", G, Float, 4),
    key("CNP", G, Float, 4),
    key("NQ", Count(1), Integer, 4),
    key("HAP", Count(1), Integer, 4),
    key("AHAP", Count(1), Integer, 4),
];

/// What VCF 4.5 says about an INFO key.
#[must_use]
pub fn reserved_info(key: &str) -> Option<&'static Reserved> {
    INFO.iter().find(|reserved| reserved.key == key)
}

/// What VCF 4.5 says about a FORMAT key.
#[must_use]
pub fn reserved_format(key: &str) -> Option<&'static Reserved> {
    FORMAT.iter().find(|reserved| reserved.key == key)
}
