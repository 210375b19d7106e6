//! Row: one blob read without unpacking it.

use crate::codec::exceptions::{self, Exceptions};
use crate::codec::kernels::{self, low_bits};
use crate::codec::mask::SampleMask;
use crate::codec::other::Other;
use crate::codec::set::{HapSet, SampleSet};
use crate::codec::varint::Reader;
use crate::codec::{AlleleCounts, BLOCK_SAMPLES_MAX, DefaultCall, Head, MISSING};
use crate::error::{Error, Result};
use crate::genotype::{CallClass, Genotype, Scan, separator, write_allele};

/// Borrowed view of one blob, or of the row that is absent because it is all default.
#[derive(Debug, Clone, Copy)]
pub struct GenotypeRow<'a> {
    n_samples: u32,
    alt_index: u16,
    default: DefaultCall,
    carriers: HapSet<'a>,
    missing: SampleSet<'a>,
    phase: SampleSet<'a>,
    ploidy: SampleSet<'a>,
    other: Other<'a>,
    exceptions: Exceptions<'a>,
}

impl<'a> GenotypeRow<'a> {
    /// Reads and checks a blob. Whatever parses can be counted and decoded without panic.
    ///
    /// # Cost
    /// One pass over lists, none over bit planes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes are not a blob of this version.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        Self::read(bytes, true)
    }

    /// [`GenotypeRow::parse`] of bytes that it accepted before: lists are not walked to be checked again.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when even the head of the sections is none of this version. Other bytes that
    /// [`GenotypeRow::parse`] would refuse may be counted as something else.
    #[inline]
    pub fn trusted(bytes: &'a [u8]) -> Result<Self> {
        Self::read(bytes, false)
    }

    #[inline]
    pub(crate) fn read(bytes: &'a [u8], check: bool) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let r = &mut reader;
        let head = Head::read(r).ok_or_else(|| corrupt("unknown version or flags"))?;
        let n = r
            .varint()
            .filter(|n| *n <= BLOCK_SAMPLES_MAX)
            .ok_or_else(|| corrupt("number of samples"))?;
        let alt_index = r
            .varint_u16()
            .filter(|alt| *alt != MISSING)
            .ok_or_else(|| corrupt("ALT number"))?;
        let carriers =
            HapSet::read(r, head.carriers, n, check).ok_or_else(|| corrupt("carriers"))?;
        let row = Self {
            alt_index,
            carriers,
            ..Self::of_default(n, head.default)
        };
        // Most rows end here.
        if !head.has_carriers_only() {
            return row.read_others(&head, reader, check);
        }
        if !reader.is_empty() {
            return Err(corrupt("bytes after the end"));
        }
        Ok(row)
    }

    /// Reads the sections after the carriers.
    fn read_others(mut self, head: &Head, mut reader: Reader<'a>, check: bool) -> Result<Self> {
        let n = self.n_samples;
        let mut set =
            |form, what| SampleSet::read(&mut reader, form, n, check).ok_or_else(|| corrupt(what));
        self.missing = set(head.missing, "missing samples")?;
        self.phase = set(head.phase, "phase")?;
        self.ploidy = set(head.ploidy, "ploidy")?;
        self.other = Other::read(&mut reader, head.other, head.other_is_uniform, n, check)
            .ok_or_else(|| corrupt("other ALT alleles"))?;
        let exceptions = match (head.has_exceptions, check) {
            (false, _) => Some(Exceptions::EMPTY),
            (true, true) => reader.prefixed().and_then(|b| Exceptions::parse(b, n)),
            (true, false) => reader.prefixed().map(Exceptions::trusted),
        };
        self.exceptions = exceptions.ok_or_else(|| corrupt("exceptions"))?;
        if !reader.is_empty() {
            return Err(corrupt("bytes after the end"));
        }
        Ok(self)
    }

    /// The row that is absent from the table: every sample has the default call.
    #[inline]
    #[must_use]
    pub fn of_default(n_samples: u32, default: DefaultCall) -> GenotypeRow<'static> {
        GenotypeRow {
            n_samples,
            alt_index: 0,
            default,
            carriers: HapSet::Empty,
            missing: SampleSet::Empty,
            phase: SampleSet::Empty,
            ploidy: SampleSet::Empty,
            other: Other::EMPTY,
            exceptions: Exceptions::EMPTY,
        }
    }

    /// Size of the block.
    #[inline]
    #[must_use]
    pub fn n_samples(&self) -> u32 {
        self.n_samples
    }

    /// Which ALT of the record the row is about, 1-based; 0 for ALT `.` and for default rows.
    #[must_use]
    pub fn alt_index(&self) -> u16 {
        self.alt_index
    }

    /// The call of the samples that the row does not name.
    #[inline]
    #[must_use]
    pub fn default_call(&self) -> DefaultCall {
        self.default
    }

    /// True when no section but that of carriers is there.
    #[inline]
    pub(super) fn names_carriers_only(&self) -> bool {
        self.missing.is_empty()
            && self.phase.is_empty()
            && self.ploidy.is_empty()
            && self.other.is_empty()
            && self.exceptions.is_empty()
    }

    #[inline]
    pub(super) fn carriers(&self) -> HapSet<'a> {
        self.carriers
    }

    pub(super) fn missing(&self) -> SampleSet<'a> {
        self.missing
    }

    pub(super) fn exceptions(&self) -> Exceptions<'a> {
        self.exceptions
    }

    /// Counts over all samples. No call is decoded.
    #[must_use]
    pub fn counts(&self) -> AlleleCounts {
        self.count(None)
    }

    /// Counts over the samples of `mask`.
    #[must_use]
    pub fn counts_in(&self, mask: &SampleMask) -> AlleleCounts {
        let is_whole = mask.n_samples() == self.n_samples && mask.is_all();
        self.count((!is_whole).then_some(mask))
    }

    /// Copies of the ALT; `None` when no allele is called or there is no such sample.
    #[must_use]
    pub fn dosage(&self, sample: u32) -> Option<u8> {
        self.call(sample)?.dosage()
    }

    /// The genotype; `None` without GT or without such a sample.
    #[must_use]
    pub fn genotype(&self, sample: u32) -> Option<Genotype> {
        let mut text = Vec::new();
        self.call(sample)?.write_text(&mut text);
        Genotype::parse(&text).ok()
    }

    /// The call of a sample; `None` when there is no such sample.
    ///
    /// # Cost
    /// Lists are read up to the sample; for many samples use [`GenotypeRow::for_each_call`].
    #[must_use]
    pub fn call(&self, sample: u32) -> Option<CallRef<'a>> {
        if sample >= self.n_samples {
            return None;
        }
        if let Some(text) = self.exceptions.find(sample) {
            return Some(CallRef::exception(text, self.alt_index));
        }
        let carried = self.carriers.of_sample(sample);
        Some(self.regular(
            Sample {
                missing: self.missing.contains(sample) != self.default.is_missing(),
                haploid: self.ploidy.contains(sample) != self.default.is_haploid(),
                phased: self.phase.contains(sample) != self.default.is_phased(),
            },
            [carried.0, carried.1],
            self.other.of_sample(sample).into(),
        ))
    }

    /// True when a section of the row tells of a sample: its call may be another than the default call.
    #[must_use]
    pub fn names(&self, sample: u32) -> bool {
        let (first, second) = self.carriers.of_sample(sample);
        first
            || second
            || self.missing.contains(sample)
            || self.phase.contains(sample)
            || self.ploidy.contains(sample)
            || self.other.of_sample(sample) != (0, 0)
            || self.exceptions.find(sample).is_some()
    }

    /// Calls `f` with each sample that carries the ALT and its dosage, samples ascending.
    pub fn for_each_carrier(&self, mut f: impl FnMut(u32, u8)) {
        if self.exceptions.is_empty() {
            return self.carriers.for_each_sample(f);
        }
        let dosages = self
            .exceptions
            .iter()
            .map(|(sample, text)| (sample, exceptions::tally(text, self.alt_index).copies));
        let mut carrying = dosages.filter(|(_, dosage)| *dosage > 0).peekable();
        self.carriers.for_each_sample(|sample, dosage| {
            while let Some((s, d)) = carrying.next_if(|(s, _)| *s < sample) {
                f(s, d);
            }
            f(sample, dosage);
        });
        carrying.for_each(|(s, d)| f(s, d));
    }

    /// Calls `f` with every sample (of `mask`) and its call, samples ascending.
    pub fn for_each_call(&self, mask: Option<&SampleMask>, f: impl FnMut(u32, CallRef<'a>)) {
        let wanted = |frame: &Frame| mask.map_or(u64::MAX, |mask| mask.word(frame.index));
        self.for_each_call_where(wanted, f);
    }

    /// Calls `f` with each sample whose call is not the default one, samples ascending: what a
    /// writer has to put over a row of default calls.
    ///
    /// # Cost
    /// One pass over the words of the sets; only the calls that differ are decoded.
    pub fn for_each_difference(&self, f: impl FnMut(u32, CallRef<'a>)) {
        self.for_each_call_of(CallsOf::Unlike, None, f);
    }

    /// Calls `f` with the samples of one kind (and of `mask`) and their calls, samples ascending.
    ///
    /// # Cost
    /// A call that is not of the kind costs a bit of a word.
    pub fn for_each_call_of(
        &self,
        whose: CallsOf,
        mask: Option<&SampleMask>,
        mut f: impl FnMut(u32, CallRef<'a>),
    ) {
        if whose == CallsOf::Carriers && self.carriers.is_short_list() {
            return self.for_each_carrier(|sample, _| {
                if mask.is_none_or(|mask| mask.contains(sample))
                    && let Some(call) = self.call(sample)
                {
                    f(sample, call);
                }
            });
        }
        let wanted = |frame: &Frame| {
            let masked = mask.map_or(u64::MAX, |mask| mask.word(frame.index));
            masked & frame.of(whose)
        };
        self.for_each_call_where(wanted, |sample, call| {
            // Whether an exception carries the ALT is in its text.
            if whose != CallsOf::Carriers || call.dosage().is_some_and(|copies| copies > 0) {
                f(sample, call);
            }
        });
    }

    /// Calls `f` with the samples whose bits `wanted` sets.
    fn for_each_call_where(
        &self,
        wanted: impl Fn(&Frame) -> u64,
        mut f: impl FnMut(u32, CallRef<'a>),
    ) {
        let mut frames = Frames::new(self);
        let mut others = self.other.alleles();
        let mut exceptional = self.exceptions.iter();
        while let Some(frame) = frames.next() {
            let mut alleles = [[0u16; 2]; 64];
            kernels::for_each_bit(frame.other.0 | frame.other.1, 0, |bit| {
                let slot = &mut alleles[bit as usize];
                if frame.other.0 >> bit & 1 == 1 {
                    slot[0] = others.next();
                }
                if frame.other.1 >> bit & 1 == 1 {
                    slot[1] = others.next();
                }
            });
            let wanted = wanted(&frame);
            kernels::for_each_bit(frame.valid & (wanted | frame.exceptional), 0, |bit| {
                let sample = frame.index * 64 + bit;
                let is_exception = frame.exceptional >> bit & 1 == 1;
                let text = if is_exception {
                    exceptional.next()
                } else {
                    None
                };
                if wanted >> bit & 1 == 0 {
                    return;
                }
                let call = match text {
                    Some((_, text)) => CallRef::exception(text, self.alt_index),
                    None => {
                        self.regular(frame.sample(bit), frame.carried(bit), alleles[bit as usize])
                    }
                };
                f(sample, call);
            });
        }
    }

    /// Calls `f` with every sample whose class may differ from the default call's: its class and its dosage of
    /// the row's ALT. Each sample comes once, in any order. Does nothing without GT.
    ///
    /// # Missing calls
    /// A half call is [`CallClass::Missing`] and may have a dosage.
    ///
    /// # Cost
    /// That of the lists; of 64 samples at a time for bit planes and for rows with other ALT alleles, ploidies or
    /// exceptions.
    pub fn for_each_unlike(&self, mut f: impl FnMut(u32, CallClass, u8)) {
        let plain = self.other.haps.is_empty()
            && self.exceptions.is_empty()
            && self.ploidy.is_empty()
            && !self.default.is_missing();
        if self.default == DefaultCall::None {
            return;
        }
        if plain {
            let whole = if self.default.is_haploid() { 1 } else { 2 };
            self.carriers.for_each_sample(|sample, dosage| {
                let class = if dosage == whole {
                    CallClass::HomAlt
                } else {
                    CallClass::Het
                };
                f(sample, class, dosage);
            });
            return self
                .missing
                .for_each(|sample| f(sample, CallClass::Missing, 0));
        }
        self.for_each_call_where(
            |frame| {
                let missing = frame.missing ^ all_if(self.default.is_missing());
                let haploid = frame.haploid ^ all_if(self.default.is_haploid());
                let carried = frame.carriers.0 | frame.carriers.1;
                let other = frame.other.0 | frame.other.1;
                carried | other | missing | haploid | frame.exceptional
            },
            |sample, call| {
                if let Some(class) = CallClass::of(call.alleles()) {
                    f(sample, class, call.tally().copies);
                }
            },
        );
    }

    fn regular(&self, sample: Sample, carried: [bool; 2], other: [u16; 2]) -> CallRef<'a> {
        let allele = |h: usize| match (sample.missing, carried[h]) {
            (true, _) => MISSING,
            (false, true) => self.alt_index,
            (false, false) => other[h],
        };
        CallRef {
            alleles: [allele(0), allele(1)],
            shape: match (self.default, sample.haploid) {
                (DefaultCall::None, _) => Shape::NoGt,
                (_, true) => Shape::Haploid,
                (_, false) => Shape::Diploid,
            },
            phased: sample.phased,
            alt_index: self.alt_index,
            text: &[],
        }
    }

    fn count(&self, mask: Option<&SampleMask>) -> AlleleCounts {
        let n = match mask {
            None => self.n_samples,
            Some(mask) if mask.n_samples() <= self.n_samples => mask.count_ones(),
            Some(mask) => mask
                .iter()
                .take_while(|s| *s < self.n_samples)
                .fold(0, |n, _| n + 1),
        };
        let (mut counts, n_exceptions) = self.count_exceptions(mask);
        counts += if self.default == DefaultCall::None {
            AlleleCounts::default()
        } else if self.ploidy.is_empty() {
            self.count_one_ploidy(mask, n.saturating_sub(n_exceptions))
        } else {
            self.count_frames(mask)
        };
        counts.n_samples = i32::try_from(n).unwrap_or(i32::MAX);
        counts
    }

    fn count_exceptions(&self, mask: Option<&SampleMask>) -> (AlleleCounts, u32) {
        let mut counts = AlleleCounts::default();
        let mut n = 0;
        for (sample, text) in self.exceptions.iter() {
            if mask.is_none_or(|mask| mask.contains(sample)) {
                counts.add_tally(exceptions::tally(text, self.alt_index));
                n += 1;
            }
        }
        (counts, n)
    }

    /// Counts of the regular calls, of which there are `n`, when all have the default's ploidy.
    fn count_one_ploidy(&self, mask: Option<&SampleMask>, n: u32) -> AlleleCounts {
        let (copies, pairs) = self.carriers.count(mask);
        let unlike = self.missing.count(mask);
        let n_missing = if self.default.is_missing() {
            n.saturating_sub(unlike)
        } else {
            unlike
        };
        let called = n.saturating_sub(n_missing);
        if self.default.is_haploid() {
            AlleleCounts::of(copies, called, 0, copies, n_missing)
        } else {
            let het = copies.saturating_sub(2 * pairs);
            AlleleCounts::of(copies, 2 * called, het, pairs, n_missing)
        }
    }

    /// Counts of the regular calls, whatever their ploidy.
    fn count_frames(&self, mask: Option<&SampleMask>) -> AlleleCounts {
        let mut counts = AlleleCounts::default();
        let mut frames = Frames::new(self);
        while let Some(frame) = frames.next() {
            let wanted = mask.map_or(u64::MAX, |mask| mask.word(frame.index));
            counts += frame.count(wanted);
        }
        counts
    }
}

#[cold]
fn corrupt(reason: &'static str) -> Error {
    Error::corrupt("genotype blob", reason)
}

fn all_if(is: bool) -> u64 {
    if is { u64::MAX } else { 0 }
}

/// What the sets say of one regular sample.
struct Sample {
    missing: bool,
    haploid: bool,
    phased: bool,
}

/// Which calls of a row are visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallsOf {
    /// Every sample.
    All,
    /// Samples whose call is not the default call, and perhaps some whose call is.
    Unlike,
    /// Samples that carry the ALT.
    Carriers,
}

/// All sets of a row for 64 samples.
struct Frame {
    index: u32,
    valid: u64,
    exceptional: u64,
    /// Samples in any section.
    named: u64,
    missing: u64,
    haploid: u64,
    phased: u64,
    carriers: (u64, u64),
    other: (u64, u64),
}

impl Frame {
    fn of(&self, whose: CallsOf) -> u64 {
        match whose {
            CallsOf::All => u64::MAX,
            CallsOf::Unlike => self.named,
            CallsOf::Carriers => self.carriers.0 | self.carriers.1 | self.exceptional,
        }
    }

    fn sample(&self, bit: u32) -> Sample {
        Sample {
            missing: self.missing >> bit & 1 == 1,
            haploid: self.haploid >> bit & 1 == 1,
            phased: self.phased >> bit & 1 == 1,
        }
    }

    fn carried(&self, bit: u32) -> [bool; 2] {
        [
            self.carriers.0 >> bit & 1 == 1,
            self.carriers.1 >> bit & 1 == 1,
        ]
    }

    fn count(&self, wanted: u64) -> AlleleCounts {
        let regular = self.valid & !self.exceptional & wanted;
        let called = regular & !self.missing;
        let haploid = called & self.haploid;
        let diploid = called & !self.haploid;
        let (a, b) = (self.carriers.0 & called, self.carriers.1 & diploid);
        AlleleCounts::of(
            a.count_ones() + b.count_ones(),
            2 * diploid.count_ones() + haploid.count_ones(),
            ((a ^ b) & diploid).count_ones(),
            (a & b).count_ones() + (a & haploid).count_ones(),
            (regular & self.missing).count_ones(),
        )
    }
}

/// The frames of a row in order.
struct Frames<'a> {
    n_samples: u32,
    default: DefaultCall,
    index: u32,
    carriers: crate::codec::set::HapWords<'a>,
    other: crate::codec::set::HapWords<'a>,
    missing: crate::codec::set::SampleWords<'a>,
    phase: crate::codec::set::SampleWords<'a>,
    ploidy: crate::codec::set::SampleWords<'a>,
    exceptions: std::iter::Peekable<exceptions::Iter<'a>>,
}

impl<'a> Frames<'a> {
    fn new(row: &GenotypeRow<'a>) -> Self {
        Self {
            n_samples: row.n_samples,
            default: row.default,
            index: 0,
            carriers: row.carriers.words(),
            other: row.other.haps.words(),
            missing: row.missing.words(),
            phase: row.phase.words(),
            ploidy: row.ploidy.words(),
            exceptions: row.exceptions.iter().peekable(),
        }
    }

    fn next(&mut self) -> Option<Frame> {
        let index = self.index;
        let first = index.checked_mul(64)?;
        let left = self.n_samples.checked_sub(first).filter(|n| *n > 0)?;
        self.index += 1;
        let mut exceptional = 0;
        while let Some((sample, _)) = self.exceptions.next_if(|(s, _)| s / 64 <= index) {
            exceptional |= 1 << (sample % 64);
        }
        let (missing, phase) = (self.missing.word(index), self.phase.word(index));
        let ploidy = self.ploidy.word(index);
        let (carriers, other) = (self.carriers.words(index), self.other.words(index));
        let haps = carriers.0 | carriers.1 | other.0 | other.1;
        Some(Frame {
            index,
            valid: low_bits(left),
            exceptional,
            named: exceptional | missing | phase | ploidy | haps,
            missing: missing ^ all_if(self.default.is_missing()),
            haploid: ploidy ^ all_if(self.default.is_haploid()),
            phased: phase ^ all_if(self.default.is_phased()),
            carriers,
            other,
        })
    }
}

/// How a call is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    NoGt,
    Haploid,
    Diploid,
    Exception,
}

/// One call of a row.
#[derive(Debug, Clone, Copy)]
pub struct CallRef<'a> {
    alleles: [u16; 2],
    shape: Shape,
    phased: bool,
    alt_index: u16,
    text: &'a [u8],
}

impl<'a> CallRef<'a> {
    fn exception(text: &'a [u8], alt_index: u16) -> Self {
        Self {
            alleles: [MISSING; 2],
            shape: Shape::Exception,
            phased: false,
            alt_index,
            text,
        }
    }

    /// True when the record has GT at all.
    #[must_use]
    pub fn has_gt(&self) -> bool {
        self.shape != Shape::NoGt
    }

    /// Copies of the ALT; `None` when no allele is called.
    #[inline]
    #[must_use]
    pub fn dosage(&self) -> Option<u8> {
        let [a, b] = self
            .alleles
            .map(|allele| u8::from(allele == self.alt_index && allele != 0));
        match self.shape {
            Shape::NoGt => None,
            Shape::Exception => exceptions::tally(self.text, self.alt_index).dosage(),
            _ if self.alleles[0] == MISSING => None,
            Shape::Haploid => Some(a),
            Shape::Diploid => Some(a + b),
        }
    }

    /// True when any allele is missing; see [`Genotype::is_missing`]. False without GT.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self.shape {
            Shape::NoGt => false,
            Shape::Exception => exceptions::tally(self.text, self.alt_index).is_missing(),
            Shape::Haploid | Shape::Diploid => self.alleles[0] == MISSING,
        }
    }

    /// True when every allele is phased; see [`Genotype::is_phased`]. False without GT.
    #[must_use]
    pub fn phased(&self) -> bool {
        match self.shape {
            Shape::NoGt => false,
            Shape::Haploid => true,
            Shape::Diploid => self.phased,
            Shape::Exception => exceptions::is_phased(self.text),
        }
    }

    /// The alleles in their written order, by their number in the record; `None` is a missing one. Nothing
    /// without GT.
    pub fn alleles(&self) -> impl Iterator<Item = Option<u16>> + use<'a> {
        let ploidy = match self.shape {
            Shape::NoGt | Shape::Exception => 0,
            Shape::Haploid => 1,
            Shape::Diploid => 2,
        };
        let mut scan = (self.shape == Shape::Exception).then(|| Scan::new(self.text));
        let written = std::iter::from_fn(move || {
            let (_, allele) = scan.as_mut()?.next().ok()??;
            Some(allele)
        });
        let regular = self.alleles.into_iter().take(ploidy);
        regular
            .map(|allele| (allele != MISSING).then_some(allele))
            .chain(written)
    }

    /// Which ALT of the record the row is about; 0 for ALT `.` and for default rows.
    #[must_use]
    pub fn alt_index(&self) -> u16 {
        self.alt_index
    }

    /// What the call adds to the counts of the ALT; nothing without GT.
    #[must_use]
    pub fn tally(&self) -> crate::genotype::Tally {
        let ploidy = match self.shape {
            Shape::NoGt => 0,
            Shape::Haploid => 1,
            Shape::Diploid => 2,
            Shape::Exception => return exceptions::tally(self.text, self.alt_index),
        };
        let mut tally = crate::genotype::Tally::default();
        for allele in &self.alleles[..ploidy] {
            tally.add((*allele != MISSING).then_some(*allele), self.alt_index);
        }
        tally
    }

    /// Appends the text of the call as the VCF had it; nothing without GT.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        let [a, b] = self
            .alleles
            .map(|allele| (allele != MISSING).then_some(allele));
        match self.shape {
            Shape::NoGt => {}
            Shape::Exception => out.extend_from_slice(self.text),
            Shape::Haploid => write_allele(a, out),
            Shape::Diploid => {
                write_allele(a, out);
                out.push(separator(self.phased));
                write_allele(b, out);
            }
        }
    }
}
