//! Counters that workers keep on their own and the job adds up: repairs, values that do not fit,
//! and the per-sample quality counts.

use std::collections::BTreeMap;

pub(crate) use genokura_core::allele::Substitution;
use genokura_core::codec::{DefaultCall, MISSING};

/// Names of the rules by which a record is mended, as reports show them.
pub(crate) mod repair {
    pub(crate) const CRLF: &str = "crlf";
    pub(crate) const BLANK_LINE: &str = "blank-line";
    pub(crate) const EMPTY_INFO: &str = "empty-info-entry";
    pub(crate) const EMPTY_SAMPLE_VALUE: &str = "empty-sample-value";
    pub(crate) const UNDECLARED_KEY: &str = "undeclared-key";
    pub(crate) const UNDECLARED_FILTER: &str = "undeclared-filter";
    pub(crate) const CONTIG_UNDECLARED: &str = "contig-undeclared";
    pub(crate) const NO_FINAL_NEWLINE: &str = "no-final-newline";
    pub(crate) const REF_MISSING: &str = "ref-missing";
    pub(crate) const UNSORTED: &str = "unsorted";
}

/// Repairs and typed issues of a worker or a job.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) repairs: BTreeMap<String, u64>,
    pub(crate) issues: BTreeMap<(String, &'static str), u64>,
}

impl Counts {
    pub(crate) fn repair(&mut self, rule: &str, n: u64) {
        if n > 0 {
            *self.repairs.entry(rule.to_owned()).or_default() += n;
        }
    }

    pub(crate) fn issue(&mut self, key: &str, rule: &'static str, n: u64) {
        if n > 0 {
            *self.issues.entry((key.to_owned(), rule)).or_default() += n;
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (rule, n) in other.repairs {
            *self.repairs.entry(rule).or_default() += n;
        }
        for (key, n) in other.issues {
            *self.issues.entry(key).or_default() += n;
        }
    }
}

/// How a genotype counts for its sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallClass {
    HomRef = 0,
    Het = 1,
    HomAlt = 2,
    Missing = 3,
}

impl CallClass {
    pub(crate) fn of_pair(a: u16, b: u16) -> Self {
        match (a, b) {
            (MISSING, _) | (_, MISSING) => Self::Missing,
            (0, 0) => Self::HomRef,
            _ if a == b => Self::HomAlt,
            _ => Self::Het,
        }
    }

    pub(crate) fn of_default(call: DefaultCall) -> Option<Self> {
        match call {
            DefaultCall::None => None,
            DefaultCall::Unphased | DefaultCall::Phased | DefaultCall::Haploid => {
                Some(Self::HomRef)
            }
            DefaultCall::Missing | DefaultCall::MissingPhased | DefaultCall::MissingHaploid => {
                Some(Self::Missing)
            }
        }
    }
}

/// One call that is not the record's default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noted {
    pub(crate) sample: u32,
    /// `None` in the further entries of a call of more than two alleles.
    pub(crate) class: Option<CallClass>,
    /// ALT numbers that the call carries, each once; [`MISSING`] where there is none.
    pub(crate) alts: [u16; 2],
}

impl Noted {
    /// A call of two alleles; a haploid one has its allele twice.
    #[inline]
    pub(crate) fn of_pair(sample: u32, a: u16, b: u16) -> Self {
        let alt = |allele: u16| if allele == 0 { MISSING } else { allele };
        Self {
            sample,
            class: Some(CallClass::of_pair(a, b)),
            alts: match (alt(a), alt(b)) {
                (MISSING, b) => [b, MISSING],
                (a, b) if a == b => [a, MISSING],
                (a, b) => [a, b],
            },
        }
    }
}

/// Per-sample counts of one input. Only calls that differ from their record's default are touched
/// one by one, so a record costs what it carries and not what the cohort counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct SampleCounts {
    /// Records by the class of their default call.
    base: [i64; 4],
    recent: Vec<Recent>,
    /// Records in `recent`.
    n_recent: u32,
    totals: Vec<[i64; COUNTERS]>,
}

/// Counters of a sample: calls by class beyond the defaults, then these.
const COUNTERS: usize = 7;
const SINGLETON: usize = 4;
const TRANSITION: usize = 5;
const TRANSVERSION: usize = 6;
/// Records until narrow counters are added to the wide ones: a record adds at most two to each.
const RECENT_MAX: u32 = 1 << 29;

/// Narrow counters of one sample, half a cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(32))]
struct Recent([i32; COUNTERS]);

/// The counts of one sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SampleTotals {
    pub(crate) n_hom_ref: i64,
    pub(crate) n_het: i64,
    pub(crate) n_hom_alt: i64,
    pub(crate) n_missing: i64,
    pub(crate) n_singleton: i64,
    pub(crate) n_ts: i64,
    pub(crate) n_tv: i64,
}

impl SampleCounts {
    pub(crate) fn new(n_samples: u32) -> Self {
        let n = n_samples as usize;
        Self {
            base: [0; 4],
            recent: vec![Recent::default(); n],
            n_recent: 0,
            totals: vec![[0; COUNTERS]; n],
        }
    }

    /// Adds one record. `alts[k]`: allele count and kind of substitution of ALT k + 1; an ALT
    /// beyond them is no substitution.
    pub(crate) fn record(
        &mut self,
        default: DefaultCall,
        calls: &[Noted],
        alts: &[(i32, Substitution)],
    ) {
        let Some(base) = CallClass::of_default(default) else {
            return;
        };
        self.base[base as usize] += 1;
        for call in calls {
            let Some(Recent(counters)) = self.recent.get_mut(call.sample as usize) else {
                continue;
            };
            if let Some(class) = call.class {
                counters[base as usize] -= 1;
                counters[class as usize] += 1;
            }
            for alt in call.alts {
                if alt == MISSING {
                    break;
                }
                let Some((ac, substitution)) = alts.get(usize::from(alt - 1)) else {
                    continue;
                };
                counters[SINGLETON] += i32::from(*ac == 1);
                counters[TRANSITION] += i32::from(*substitution == Substitution::Transition);
                counters[TRANSVERSION] += i32::from(*substitution == Substitution::Transversion);
            }
        }
        self.n_recent += 1;
        if self.n_recent == RECENT_MAX {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.n_recent = 0;
        for (to, from) in self.totals.iter_mut().zip(&mut self.recent) {
            for (to, from) in to.iter_mut().zip(std::mem::take(from).0) {
                *to += i64::from(from);
            }
        }
    }

    /// Adds the counts of the same samples in other records.
    pub(crate) fn add(&mut self, mut other: Self) {
        other.settle();
        for (to, from) in self.base.iter_mut().zip(other.base) {
            *to += from;
        }
        for (to, from) in self.totals.iter_mut().zip(&other.totals) {
            for (to, from) in to.iter_mut().zip(from) {
                *to += from;
            }
        }
    }

    /// The counts of a sample; those of records that were [added](Self::add).
    pub(crate) fn totals(&self, sample: usize) -> SampleTotals {
        let counters = self.totals.get(sample).copied().unwrap_or_default();
        let total = |class: CallClass| self.base[class as usize] + counters[class as usize];
        SampleTotals {
            n_hom_ref: total(CallClass::HomRef),
            n_het: total(CallClass::Het),
            n_hom_alt: total(CallClass::HomAlt),
            n_missing: total(CallClass::Missing),
            n_singleton: counters[SINGLETON],
            n_ts: counters[TRANSITION],
            n_tv: counters[TRANSVERSION],
        }
    }
}
