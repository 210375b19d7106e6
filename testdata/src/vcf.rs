//! The VCF text of a cohort, written record by record.

use std::io::{self, Write};

use crate::cohort::{Cohort, Fields};
use crate::genes::{CONTIGS, GENES};
use crate::meiosis::{ABSENT, Switch};
use crate::random::Random;
use crate::sites::{Site, for_each_site};

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VcfTotals {
    /// Lines after the header.
    pub records: u64,
    /// ALT alleles of all records: the rows of `variants`.
    pub alleles: u64,
}

const HEADER: &str = "\
##fileformat=VCFv4.3
##source=genokura-testdata
##reference=GRCh38 (published alleles; other reference bases are simulated)
##FILTER=<ID=PASS,Description=\"All filters passed\">
##FILTER=<ID=LowQual,Description=\"Low quality\">
##INFO=<ID=AC,Number=A,Type=Integer,Description=\"Allele count in genotypes, for each ALT allele\">
##INFO=<ID=AF,Number=A,Type=Float,Description=\"Allele frequency, for each ALT allele\">
##INFO=<ID=AN,Number=1,Type=Integer,Description=\"Number of called alleles\">
##INFO=<ID=DB,Number=0,Type=Flag,Description=\"Published variant with a dbSNP id\">
##INFO=<ID=DP,Number=1,Type=Integer,Description=\"Read depth over all samples\">
##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype\">
";

const DEPTH_HEADER: &str = "\
##FORMAT=<ID=AD,Number=R,Type=Integer,Description=\"Read depth of each allele\">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description=\"Read depth\">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description=\"Genotype quality, phred-scaled\">
";

impl Cohort {
    /// Writes the cohort as VCF 4.3 text, sorted by contig and position.
    ///
    /// # Cost
    /// Linear in sites x samples; memory is one record.
    pub fn write_vcf(&self, out: &mut impl Write) -> io::Result<VcfTotals> {
        self.write_header(out)?;
        let mut writer = RecordWriter::new(self);
        let total: usize = GENES.iter().map(|gene| width(gene.start, gene.end)).sum();
        for contig in CONTIGS {
            writer.enter(self.inheritance(contig.name).switches());
            for gene in GENES.iter().filter(|gene| gene.contig == contig.name) {
                let sites = self.spec.sites * width(gene.start, gene.end) / total.max(1);
                let mut random =
                    Random::new(self.spec.seed, 1000 + u64::from(gene.start.unsigned_abs()));
                for_each_site(self, gene, sites, &mut random, |site| {
                    writer.write(contig.name, &site, out)
                })?;
            }
        }
        Ok(writer.totals)
    }

    fn write_header(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(HEADER.as_bytes())?;
        if self.spec.fields == Fields::Full {
            out.write_all(DEPTH_HEADER.as_bytes())?;
        }
        for contig in CONTIGS {
            writeln!(
                out,
                "##contig=<ID={},length={},assembly=GRCh38>",
                contig.name, contig.length
            )?;
        }
        write!(out, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT")?;
        for person in self.people() {
            write!(out, "\t{}", person.sample_id)?;
        }
        writeln!(out)
    }
}

fn width(start: i32, end: i32) -> usize {
    usize::try_from(end - start + 1).unwrap_or(0)
}

/// Turns sites into lines; follows everybody's haplotypes along the contig.
struct RecordWriter {
    full: bool,
    random: Random,
    switches: std::iter::Peekable<std::vec::IntoIter<Switch>>,
    /// The founder haplotypes of every person at the current position.
    current: Vec<[u32; 2]>,
    /// The allele of every founder haplotype at the current site.
    alleles: Vec<u8>,
    homozygous: [Vec<HomozygousText>; 2],
    columns: Vec<u8>,
    counts: Counts,
    totals: VcfTotals,
}

#[derive(Default)]
struct Counts {
    called: u32,
    depth: u32,
    copies: Vec<u32>,
}

/// Ready text of the column of a homozygous-reference call, one for each depth: most columns are one.
struct HomozygousText {
    text: Vec<u8>,
    depth: u32,
}

impl RecordWriter {
    fn new(cohort: &Cohort) -> Self {
        Self {
            full: cohort.spec.fields == Fields::Full,
            random: Random::new(cohort.spec.seed, 5),
            switches: Vec::new().into_iter().peekable(),
            current: vec![[ABSENT; 2]; cohort.people().len()],
            alleles: vec![0; cohort.founder_haplotypes() as usize],
            homozygous: [Vec::new(), Vec::new()],
            columns: Vec::new(),
            counts: Counts::default(),
            totals: VcfTotals::default(),
        }
    }

    fn enter(&mut self, switches: Vec<Switch>) {
        self.current.fill([ABSENT; 2]);
        self.switches = switches.into_iter().peekable();
    }

    fn write(&mut self, contig: &str, site: &Site, out: &mut impl Write) -> io::Result<()> {
        while let Some(switch) = self.switches.next_if(|switch| switch.from <= site.pos) {
            self.current[switch.person][switch.haplotype] = switch.founder;
        }
        for (founder, allele) in &site.carriers {
            self.alleles[*founder as usize] = *allele;
        }
        self.write_columns(site);
        for (founder, _) in &site.carriers {
            self.alleles[*founder as usize] = 0;
        }
        if self.counts.copies[1..].iter().all(|copies| *copies == 0) {
            return Ok(()); // a joint caller writes no record that nobody carries
        }
        self.write_line(contig, site, out)
    }

    /// Everybody's column into `columns`, counting.
    fn write_columns(&mut self, site: &Site) {
        let alternates = site.alternates.len();
        self.columns.clear();
        self.counts = Counts {
            copies: vec![0; alternates + 1],
            ..Counts::default()
        };
        self.homozygous = [homozygous(alternates, false), homozygous(alternates, true)];
        let missing = self.missing_threshold();
        for person in 0..self.current.len() {
            let mut call = self.current[person].map(|founder| self.allele(founder));
            for (_, haplotype) in site.de_novo.iter().filter(|(p, _)| *p == person) {
                call[*haplotype] = Some(1);
            }
            self.columns.push(b'\t');
            self.write_call(call, alternates, missing);
        }
    }

    fn allele(&self, founder: u32) -> Option<u8> {
        self.alleles.get(founder as usize).copied()
    }

    /// A draw below the threshold is a missing call. Nine sites in ten miss one call in a thousand.
    fn missing_threshold(&mut self) -> u64 {
        if !self.full {
            return 0;
        }
        let per_mille = match self.random.below(100) {
            0..90 => 1,
            90..98 => 10,
            _ => 80,
        };
        (u64::from(u32::MAX) * per_mille) / 1000
    }

    fn write_call(&mut self, call: [Option<u8>; 2], alternates: usize, missing: u64) {
        let Some(first) = call[0] else {
            return self.write_missing(false, alternates);
        };
        let haploid = call[1].is_none();
        if !self.full {
            return self.write_phased(first, call[1]);
        }
        let draw = self.random.next();
        if draw >> 32 < missing {
            return self.write_missing(haploid, alternates);
        }
        self.count(first, call[1]);
        if first == 0 && call[1].unwrap_or(0) == 0 {
            let texts = &self.homozygous[usize::from(haploid)];
            let text = &texts[(draw & 63) as usize % texts.len()];
            self.columns.extend_from_slice(&text.text);
            self.counts.depth += text.depth;
        } else {
            self.write_carrier(first, call[1], alternates, draw);
        }
    }

    fn count(&mut self, first: u8, second: Option<u8>) {
        for allele in [Some(first), second].into_iter().flatten() {
            self.counts.called += 1;
            self.counts.copies[usize::from(allele)] += 1;
        }
    }

    fn write_phased(&mut self, first: u8, second: Option<u8>) {
        self.count(first, second);
        self.columns.push(b'0' + first);
        if let Some(second) = second {
            self.columns.extend([b'|', b'0' + second]);
        }
    }

    fn write_missing(&mut self, haploid: bool, alternates: usize) {
        self.columns
            .extend_from_slice(if haploid { b".:0" } else { b"./.:0" });
        for _ in 0..alternates {
            self.columns.extend(b",0");
        }
        self.columns.extend(b":0:.");
    }

    /// A call with an ALT allele: reads of both alleles by a fair coin each.
    fn write_carrier(&mut self, first: u8, second: Option<u8>, alternates: usize, draw: u64) {
        let depth = depth(draw, second.is_none());
        let second_allele = second.unwrap_or(first);
        let coins = (draw >> 20) & ((1 << depth) - 1);
        let of_second = if second_allele == first {
            0
        } else {
            coins.count_ones().max(2)
        };
        let mut reads = vec![0; alternates + 1];
        reads[usize::from(first)] += depth - of_second.min(depth);
        reads[usize::from(second_allele)] += of_second.min(depth);
        let (low, high) = (first.min(second_allele), first.max(second_allele));
        self.columns.push(b'0' + low);
        if second.is_some() {
            self.columns.extend([b'/', b'0' + high]);
        }
        let quality = (depth * 3).min(99);
        push_fields(&mut self.columns, &reads, depth, quality);
        self.counts.depth += depth;
    }

    fn write_line(&mut self, contig: &str, site: &Site, out: &mut impl Write) -> io::Result<()> {
        let quality = 300 + self.random.below(90_000);
        let filter = if self.full && self.random.below(100) < 3 {
            "LowQual"
        } else {
            "PASS"
        };
        let (reference, alternates) = (&site.reference, site.alternates.join(","));
        write!(
            out,
            "{contig}\t{}\t{}\t{reference}\t{alternates}\t",
            site.pos, site.id
        )?;
        write!(out, "{}.{}\t{filter}\t", quality / 10, quality % 10)?;
        self.write_info(site, out)?;
        out.write_all(if self.full { b"\tGT:AD:DP:GQ" } else { b"\tGT" })?;
        out.write_all(&self.columns)?;
        out.write_all(b"\n")?;
        self.totals.records += 1;
        self.totals.alleles += site.alternates.len() as u64;
        Ok(())
    }

    fn write_info(&self, site: &Site, out: &mut impl Write) -> io::Result<()> {
        let called = self.counts.called;
        let copies = &self.counts.copies[1..];
        let frequency = |n: &u32| match called {
            0 => ".".to_owned(),
            _ => format!("{:.6}", f64::from(*n) / f64::from(called)),
        };
        let counts: Vec<String> = copies.iter().map(u32::to_string).collect();
        let frequencies: Vec<String> = copies.iter().map(frequency).collect();
        write!(
            out,
            "AC={};AF={};AN={called}",
            counts.join(","),
            frequencies.join(",")
        )?;
        if site.id != "." {
            out.write_all(b";DB")?;
        }
        if self.full {
            write!(out, ";DP={}", self.counts.depth)?;
        }
        Ok(())
    }
}

/// 20 to 40 reads, 30 on average; half of it on the single X of a male.
fn depth(draw: u64, haploid: bool) -> u32 {
    let depth = 20 + (draw & 0xf_ffff).count_ones();
    if haploid { depth / 2 } else { depth }
}

fn homozygous(alternates: usize, haploid: bool) -> Vec<HomozygousText> {
    let depths = if haploid { 10..=20 } else { 22..=38 };
    let text = |depth: u32| {
        let mut text = if haploid {
            b"0".to_vec()
        } else {
            b"0/0".to_vec()
        };
        let mut reads = vec![0; alternates + 1];
        reads[0] = depth;
        push_fields(&mut text, &reads, depth, (depth * 3).min(99));
        HomozygousText { text, depth }
    };
    depths.map(text).collect()
}

/// `:AD:DP:GQ`
fn push_fields(text: &mut Vec<u8>, reads: &[u32], depth: u32, quality: u32) {
    let mut separator = b':';
    for count in reads {
        text.push(separator);
        text.extend(count.to_string().bytes());
        separator = b',';
    }
    text.extend(format!(":{depth}:{quality}").bytes());
}
