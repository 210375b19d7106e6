//! Indexes of BGZF files by position: tabix (`.tbi`) and CSI, as the SAM and tabix specifications
//! have them.
//!
//! Bins are those of the UCSC scheme with windows of `2^min_shift` bases and `depth` levels above
//! them; every bin lists the stretches of the file that hold its records, and a linear index gives
//! for each window the first record that reaches into it.

use std::collections::BTreeMap;

use genokura_exec::records::RecordView;

/// Smallest window, as in tabix: 2^14 bases.
const MIN_SHIFT: u32 = 14;
/// Levels of a tabix index: positions up to 2^29.
const TBI_DEPTH: u32 = 5;
/// Levels of every other index: all positions there are, which have 31 bits.
const DEPTH: u32 = TBI_DEPTH + 1;
/// Last position of a tabix index.
const TBI_END: u64 = 1 << (MIN_SHIFT + 3 * TBI_DEPTH);

/// Where one record lies: on the genome, 0-based and half-open, and in the text of its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) rank: usize,
    pub(crate) begin: u32,
    pub(crate) end: u32,
    /// Offset of its first byte in the uncompressed part.
    pub(crate) offset: usize,
}

impl Span {
    /// The span as tabix and bcftools see it: from POS to INFO/END where that is a number from POS
    /// on, else to the last base of REF.
    pub(crate) fn of(record: &RecordView<'_>, offset: usize) -> Self {
        let pos = record.pos();
        let length = i64::try_from(record.reference().len().max(1)).unwrap_or(1);
        let end = record
            .end()
            .map(i64::from)
            .filter(|end| *end >= i64::from(pos));
        let end = end.unwrap_or(i64::from(pos) + length - 1);
        let begin = u32::try_from(pos - 1).unwrap_or(0);
        Self {
            rank: record.rank(),
            begin,
            end: u32::try_from(end).unwrap_or(u32::MAX).max(begin + 1),
            offset,
        }
    }
}

/// What stands in the index file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `.tbi` while positions allow it, else `.csi` with the same settings: of a VCF.
    Vcf,
    /// `.csi` whose contigs are those of the header: of a BCF.
    Bcf,
}

/// An index in the making.
#[derive(Debug)]
pub(crate) struct Indexer {
    kind: Kind,
    /// Records came for these contigs, by rank.
    contigs: BTreeMap<usize, Contig>,
    order: Vec<usize>,
}

#[derive(Debug, Default)]
struct Contig {
    bins: BTreeMap<u32, Vec<(u64, u64)>>,
    linear: Vec<u64>,
    first: u64,
    last: u64,
    records: u64,
}

/// A finished index, not yet compressed.
#[derive(Debug)]
pub(crate) struct Index {
    /// `tbi` or `csi`.
    pub(crate) extension: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// A window that no record has reached yet.
const UNSET: u64 = u64::MAX;

impl Indexer {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            contigs: BTreeMap::new(),
            order: Vec::new(),
        }
    }

    /// Adds a record that stands at virtual offsets `from..to` of the file; records come in order.
    pub(crate) fn add(&mut self, span: &Span, from: u64, to: u64) {
        if !self.contigs.contains_key(&span.rank) {
            self.order.push(span.rank);
        }
        let bin = bin_of(span.begin, span.end, DEPTH);
        let contig = self.contigs.entry(span.rank).or_default();
        if contig.records == 0 {
            contig.first = from;
        }
        contig.records += 1;
        contig.last = to;
        let chunks = contig.bins.entry(bin).or_default();
        match chunks.last_mut() {
            // Stretches of one BGZF block are read together anyway.
            Some((_, end)) if *end >> 16 == from >> 16 => *end = to,
            _ => chunks.push((from, to)),
        }
        let windows = (span.begin >> MIN_SHIFT) as usize..=((span.end - 1) >> MIN_SHIFT) as usize;
        if contig.linear.len() <= *windows.end() {
            contig.linear.resize(windows.end() + 1, UNSET);
        }
        for window in windows {
            if contig.linear[window] == UNSET {
                contig.linear[window] = from;
            }
        }
    }

    /// The index; `names` by rank.
    pub(crate) fn finish(mut self, names: &[&str]) -> Index {
        for contig in self.contigs.values_mut() {
            let mut last = contig.first;
            for offset in &mut contig.linear {
                match *offset {
                    UNSET => *offset = last,
                    known => last = known,
                }
            }
        }
        let past_tbi = |c: &Contig| (c.linear.len() as u64) << MIN_SHIFT > TBI_END;
        if self.kind == Kind::Vcf && !self.contigs.values().any(past_tbi) {
            self.tbi(names)
        } else {
            self.csi(names)
        }
    }

    fn tbi(&self, names: &[&str]) -> Index {
        let mut out = b"TBI\x01".to_vec();
        put(&mut out, self.order.len());
        vcf_columns(&mut out, &self.names(names));
        for contig in self.order.iter().filter_map(|rank| self.contigs.get(rank)) {
            let bins = contig.bins_at(DEPTH, TBI_DEPTH);
            put(&mut out, bins.len() + 1);
            for (bin, chunks) in &bins {
                out.extend_from_slice(&bin.to_le_bytes());
                put_chunks(&mut out, chunks);
            }
            out.extend_from_slice(&pseudo_bin(TBI_DEPTH).to_le_bytes());
            put_chunks(&mut out, &contig.summary());
            put(&mut out, contig.linear.len());
            for offset in &contig.linear {
                out.extend_from_slice(&offset.to_le_bytes());
            }
        }
        out.extend_from_slice(&0u64.to_le_bytes());
        Index {
            extension: "tbi",
            bytes: out,
        }
    }

    fn csi(&self, names: &[&str]) -> Index {
        let mut aux = Vec::new();
        let ranks: Vec<usize> = match self.kind {
            Kind::Vcf => {
                vcf_columns(&mut aux, &self.names(names));
                self.order.clone()
            }
            Kind::Bcf => (0..names.len()).collect(),
        };
        let mut out = b"CSI\x01".to_vec();
        put(&mut out, MIN_SHIFT as usize);
        put(&mut out, DEPTH as usize);
        put(&mut out, aux.len());
        out.extend_from_slice(&aux);
        put(&mut out, ranks.len());
        for rank in ranks {
            let Some(contig) = self.contigs.get(&rank) else {
                put(&mut out, 0);
                continue;
            };
            put(&mut out, contig.bins.len() + 1);
            for (bin, chunks) in &contig.bins {
                out.extend_from_slice(&bin.to_le_bytes());
                let window = first_window(*bin, DEPTH);
                let loffset = contig.linear.get(window).copied().unwrap_or(contig.first);
                out.extend_from_slice(&loffset.to_le_bytes());
                put_chunks(&mut out, chunks);
            }
            out.extend_from_slice(&pseudo_bin(DEPTH).to_le_bytes());
            out.extend_from_slice(&0u64.to_le_bytes());
            put_chunks(&mut out, &contig.summary());
        }
        out.extend_from_slice(&0u64.to_le_bytes());
        Index {
            extension: "csi",
            bytes: out,
        }
    }

    fn names<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        let name = |rank: &usize| names.get(*rank).copied().unwrap_or("");
        self.order.iter().map(name).collect()
    }
}

impl Contig {
    /// The bins of another depth. Where records do not reach past the smaller one, the bins of both
    /// differ in their numbers only, but for the levels above, which are one bin there.
    fn bins_at(&self, from: u32, to: u32) -> BTreeMap<u32, Vec<(u64, u64)>> {
        if from == to {
            return self.bins.clone();
        }
        let mut bins: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
        for (bin, chunks) in &self.bins {
            let (level, index) = level_of(*bin, from);
            let lift = level.saturating_sub(from - to);
            let index = if level >= from - to { index } else { 0 };
            bins.entry(first_bin(lift) + index)
                .or_default()
                .extend(chunks);
        }
        bins.values_mut().for_each(|chunks| chunks.sort_unstable());
        bins
    }

    /// Chunks of the pseudo bin: where the records lie, and how many there are.
    fn summary(&self) -> [(u64, u64); 2] {
        [(self.first, self.last), (self.records, 0)]
    }
}

fn put(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_chunks(out: &mut Vec<u8>, chunks: &[(u64, u64)]) {
    put(out, chunks.len());
    for (from, to) in chunks {
        out.extend_from_slice(&from.to_le_bytes());
        out.extend_from_slice(&to.to_le_bytes());
    }
}

/// Which columns hold what, and the contig names: preset VCF, columns 1 and 2, lines of `#` skipped.
fn vcf_columns(out: &mut Vec<u8>, names: &[&str]) {
    for n in [2, 1, 2, 0, usize::from(b'#'), 0] {
        put(out, n);
    }
    put(out, names.iter().map(|name| name.len() + 1).sum());
    for name in names {
        out.extend_from_slice(name.as_bytes());
        out.push(0);
    }
}

/// Number of the first bin of a level; level 0 is the whole contig.
fn first_bin(level: u32) -> u32 {
    ((1u32 << (3 * level)) - 1) / 7
}

fn pseudo_bin(depth: u32) -> u32 {
    first_bin(depth + 1) + 1
}

/// The smallest bin that holds `begin..end`.
fn bin_of(begin: u32, end: u32, depth: u32) -> u32 {
    let last = end.max(begin + 1) - 1;
    for level in (1..=depth).rev() {
        let shift = MIN_SHIFT + 3 * (depth - level);
        let index = |pos: u32| pos.checked_shr(shift).unwrap_or(0);
        if index(begin) == index(last) {
            return first_bin(level) + index(begin);
        }
    }
    0
}

fn level_of(bin: u32, depth: u32) -> (u32, u32) {
    let level = (0..=depth)
        .rev()
        .find(|level| bin >= first_bin(*level))
        .unwrap_or(0);
    (level, bin - first_bin(level))
}

fn first_window(bin: u32, depth: u32) -> usize {
    let (level, index) = level_of(bin, depth);
    (index as usize) << (3 * (depth - level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_those_of_the_specification() {
        for (begin, end, bin) in [
            (0, 1, 4681),
            (16_383, 16_384, 4681),
            (16_383, 16_385, 585),
            (16_384, 16_385, 4682),
            (0, 1 << 29, 0),
            ((1 << 29) - 1, 1 << 29, 37_448),
        ] {
            assert_eq!(bin_of(begin, end, TBI_DEPTH), bin, "{begin}-{end}");
        }
        assert_eq!(pseudo_bin(TBI_DEPTH), 37_450);
        assert_eq!(first_window(4682, TBI_DEPTH), 1);
        assert_eq!(first_window(586, TBI_DEPTH), 8);
        assert_eq!(
            bin_of(u32::MAX - 9, u32::MAX, DEPTH),
            first_bin(6) + (u32::MAX >> 14)
        );
    }

    #[test]
    fn bins_of_a_deeper_tree_are_renumbered() {
        for (begin, end) in [
            (0, 5),
            (16_000, 17_000),
            (1 << 28, (1 << 28) + 1),
            (0, 1 << 29),
        ] {
            let deep = Contig {
                bins: [(bin_of(begin, end, 6), vec![(1, 2)])].into(),
                ..Contig::default()
            };
            let bins: Vec<u32> = deep.bins_at(6, TBI_DEPTH).into_keys().collect();
            assert_eq!(bins, [bin_of(begin, end, TBI_DEPTH)], "{begin}-{end}");
        }
    }
}
