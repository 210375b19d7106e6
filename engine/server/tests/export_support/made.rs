//! Made files: VCFs by seed with every Type and Number, missing values, odd genotypes and alleles.

use std::fmt::Write as _;

/// What a made file may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Everything that VCF allows.
    Any,
    /// What `bcftools view -s` can count: no symbolic or very long alleles.
    Tame,
}

/// A small generator of numbers; the same seed gives the same file.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const NUMBERS: [&str; 5] = ["1", "2", "A", "R", "."];
const TYPES: [&str; 3] = ["Integer", "Float", "String"];

/// A VCF with `samples` samples and about `records` records on each of three contigs.
pub fn vcf(seed: u64, samples: usize, records: usize, shape: Shape) -> String {
    let mut dice = Dice(seed);
    let mut text = header(samples);
    for contig in ["2", "1", "3"] {
        let mut pos = 0;
        for _ in 0..records {
            if !dice.one_in(4) {
                pos += dice.below(30);
            }
            let line = record(&mut dice, contig, pos.max(1), samples, shape);
            text.push_str(&line);
            if dice.one_in(25) {
                text.push_str(&line);
            }
        }
    }
    text
}

fn header(samples: usize) -> String {
    let mut text = "##fileformat=VCFv4.3\n##source=made\n##contig=<ID=2,length=2000000>\n\
        ##contig=<ID=1,length=300000000>\n##contig=<ID=3>\n\
        ##FILTER=<ID=q10,Description=\"low, \\\"very\\\" low\">\n##FILTER=<ID=s50,Description=\"s\">\n\
        ##ALT=<ID=DEL,Description=\"Deletion\">\n##ALT=<ID=NON_REF,Description=\"any\">\n\
        ##INFO=<ID=FLAG,Number=0,Type=Flag,Description=\"f\">\n\
        ##INFO=<ID=END,Number=1,Type=Integer,Description=\"End\">\n\
        ##INFO=<ID=AC,Number=A,Type=Integer,Description=\"Allele count\">\n\
        ##INFO=<ID=AN,Number=1,Type=Integer,Description=\"Allele number\">\n\
        ##INFO=<ID=CHR,Number=1,Type=Character,Description=\"c\">\n\
        ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype\">\n\
        ##FORMAT=<ID=PS,Number=1,Type=Integer,Description=\"Phase set\">\n\
        ##FORMAT=<ID=LAA,Number=.,Type=Integer,Description=\"Local alleles\">\n\
        ##FORMAT=<ID=LAD,Number=.,Type=Integer,Description=\"Local depths\">\n\
        ##FORMAT=<ID=LPL,Number=.,Type=Integer,Description=\"Local likelihoods\">\n\
        ##FORMAT=<ID=FG,Number=G,Type=Integer,Description=\"Per genotype\">\n"
        .to_owned();
    for ty in TYPES {
        for number in NUMBERS {
            let id = id_of(ty, number);
            let _ = writeln!(
                text,
                "##INFO=<ID=I{id},Number={number},Type={ty},Description=\"i\">"
            );
            let _ = writeln!(
                text,
                "##FORMAT=<ID=F{id},Number={number},Type={ty},Description=\"f\">"
            );
        }
    }
    text.push_str("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO");
    if samples > 0 {
        text.push_str("\tFORMAT");
    }
    for sample in 0..samples {
        let _ = write!(text, "\tS{sample}");
    }
    text.push('\n');
    text
}

fn id_of(ty: &str, number: &str) -> String {
    let number = if number == "." { "U" } else { number };
    format!("{}{number}", &ty[..1])
}

fn bases(dice: &mut Dice, n: usize) -> String {
    (0..n).map(|_| dice.pick(&["A", "C", "G", "T"])).collect()
}

fn record(dice: &mut Dice, contig: &str, pos: usize, samples: usize, shape: Shape) -> String {
    let length = match dice.below(6) {
        0 => 1 + dice.below(40),
        _ => 1,
    };
    let reference = bases(dice, length);
    let n_alts = [0, 1, 1, 1, 1, 2, 3][dice.below(7)];
    let mut alts: Vec<String> = Vec::new();
    while alts.len() < n_alts {
        let alt = alt(dice, &reference, shape);
        if alt != reference && !alts.contains(&alt) {
            alts.push(alt);
        }
    }
    let alt = if alts.is_empty() {
        ".".to_owned()
    } else {
        alts.join(",")
    };
    let id = dice.pick(&[".", "rs1", "rs2;x_3", "."]);
    let qual = match dice.below(4) {
        0 => ".".to_owned(),
        1 => format!("{}.{}", dice.below(90), dice.below(1_000)),
        2 => "1e-5".to_owned(),
        _ => dice.below(100).to_string(),
    };
    let filter = dice.pick(&[".", "PASS", "q10", "q10;s50"]);
    let info = info(dice, pos, length, n_alts, shape);
    let mut line = format!("{contig}\t{pos}\t{id}\t{reference}\t{alt}\t{qual}\t{filter}\t{info}");
    if samples > 0 {
        cells(dice, samples, n_alts, shape, &mut line);
    }
    line.push('\n');
    line
}

fn alt(dice: &mut Dice, reference: &str, shape: Shape) -> String {
    let odd = shape == Shape::Any;
    match dice.below(12) {
        0 if odd => "*".to_owned(),
        1 if odd => "<NON_REF>".to_owned(),
        2 if odd => "<DEL>".to_owned(),
        3 if odd => format!("{}[2:321[", &reference[..1]),
        4 if odd && dice.one_in(8) => bases(dice, 20_000),
        5 => format!("{reference}{}", bases(dice, 3)),
        6 => reference[..1].to_owned(),
        7 => {
            let n = reference.len() - 1;
            format!("{}{}", &reference[..n], bases(dice, 1))
        }
        _ => bases(dice, reference.len()),
    }
}

fn info(dice: &mut Dice, pos: usize, length: usize, n_alts: usize, shape: Shape) -> String {
    let mut entries = Vec::new();
    if dice.one_in(3) {
        entries.push("FLAG".to_owned());
    }
    if dice.one_in(12) && shape == Shape::Any {
        entries.push(format!("END={}", pos + length + dice.below(500)));
    }
    if dice.one_in(5) {
        entries.push("CHR=x".to_owned());
    }
    for ty in TYPES {
        for number in NUMBERS {
            if dice.one_in(4)
                && let Some(values) = values(dice, ty, number, n_alts)
            {
                entries.push(format!("I{}={values}", id_of(ty, number)));
            }
        }
    }
    for i in (1..entries.len()).rev() {
        let j = dice.below(i + 1);
        entries.swap(i, j);
    }
    match entries.is_empty() {
        true => ".".to_owned(),
        false => entries.join(";"),
    }
}

/// Values as many as `number` asks for; `None` when that is none.
fn values(dice: &mut Dice, ty: &str, number: &str, n_alts: usize) -> Option<String> {
    let n = match number {
        "A" => n_alts,
        "R" => n_alts + 1,
        "G" => (n_alts + 1) * (n_alts + 2) / 2,
        "." => 1 + dice.below(4),
        n => n.parse().unwrap(),
    };
    if n == 0 {
        return None;
    }
    if dice.one_in(8) {
        return Some(".".to_owned());
    }
    let value = |dice: &mut Dice| match (ty, dice.below(9)) {
        (_, 0) => ".".to_owned(),
        ("Integer", 1) => (dice.below(4_000_000_000) as i64 - 2_000_000_000).to_string(),
        ("Integer", 2) => (dice.below(60_000) as i64 - 30_000).to_string(),
        ("Integer", _) => dice.below(100).to_string(),
        ("Float", 1) => format!("{}e-{}", 1 + dice.below(9), dice.below(30)),
        ("Float", 2) => dice
            .pick(&["nan", "inf", "-inf", "-0.0", "0.000001"])
            .to_owned(),
        ("Float", _) => format!("{}.{:03}", dice.below(100), dice.below(1_000)),
        _ => dice.pick(&["a", "bc_d", "x|y", "%3B"]).to_owned(),
    };
    let values: Vec<String> = (0..n).map(|_| value(dice)).collect();
    Some(values.join(","))
}

fn cells(dice: &mut Dice, samples: usize, n_alts: usize, shape: Shape, line: &mut String) {
    let mut keys: Vec<(String, &str, &str)> = Vec::new();
    let has_gt = !dice.one_in(10) || shape == Shape::Tame;
    if !dice.one_in(3) {
        for (key, number) in [
            ("PS", "1"),
            ("LAA", "."),
            ("LAD", "."),
            ("LPL", "."),
            ("FG", "G"),
        ] {
            if dice.one_in(3) {
                keys.push((key.to_owned(), "Integer", number));
            }
        }
        for ty in TYPES {
            for number in NUMBERS {
                if dice.one_in(5) && !(number == "A" && n_alts == 0) {
                    keys.push((format!("F{}", id_of(ty, number)), ty, number));
                }
            }
        }
    }
    let mut names: Vec<&str> = keys.iter().map(|(key, ..)| key.as_str()).collect();
    if has_gt || names.is_empty() {
        names.insert(0, "GT");
    }
    let with_gt = names[0] == "GT";
    let _ = write!(line, "\t{}", names.join(":"));
    let plain = dice.one_in(3);
    for _ in 0..samples {
        let mut fields: Vec<String> = Vec::new();
        if with_gt {
            fields.push(genotype(dice, n_alts, plain));
        }
        for (_, ty, number) in &keys {
            let value = values(dice, ty, number, n_alts);
            fields.push(value.unwrap_or_else(|| ".".to_owned()));
        }
        if dice.one_in(4) {
            let kept = 1 + dice.below(fields.len());
            fields.truncate(kept);
        }
        let _ = write!(line, "\t{}", fields.join(":"));
    }
}

fn genotype(dice: &mut Dice, n_alts: usize, plain: bool) -> String {
    if plain && !dice.one_in(6) {
        return "0|0".to_owned();
    }
    let ploidy = match dice.below(12) {
        0 => 1,
        1 => 3,
        2 => 4,
        _ => 2,
    };
    let mut text = String::new();
    for i in 0..ploidy {
        if i > 0 {
            text.push_str(dice.pick(&["/", "|", "/"]));
        }
        match dice.below(8) {
            0 => text.push('.'),
            _ => text.push_str(&dice.below(n_alts + 1).to_string()),
        }
    }
    text
}
