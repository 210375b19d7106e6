//! Files of one assembly are not added to datasets and tables of another.

use super::Place;

/// A call set, or a table of sites when there is no sample.
fn vcf(header: &str, contig: &str, sample: Option<&str>) -> String {
    let (columns, call) = match sample {
        Some(sample) => (format!("\tFORMAT\t{sample}"), "\tGT\t0/1"),
        None => (String::new(), ""),
    };
    format!(
        "##fileformat=VCFv4.2\n{header}\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO{columns}\n\
         {contig}\t100\t.\tA\tG\t.\t.\t.{call}\n"
    )
}

const LENGTH_37: &str = "##contig=<ID=chr1,length=249250621>";
const LENGTH_38: &str = "##contig=<ID=chr1,length=248956422>";

#[test]
fn a_call_set_is_of_one_assembly() {
    let place = Place::new();
    let file = |name: &str, header: &str, sample: &str| {
        place.file(name, &vcf(header, "chr1", Some(sample)))
    };
    place.load("vcf --dataset d", &file("a.vcf", LENGTH_38, "A"));
    let other = file("b.vcf", LENGTH_37, "B");
    let told = [
        "input 1, line 2: the length 249250621 of contig \"chr1\" is of GRCh37, and dataset \"d\" is on GRCh38",
        "lift it over",
        "(rule assembly-differs)",
    ];
    place.refused("vcf --dataset d", &other, &told);
    // Lengths are not overruled.
    place.refused("vcf --dataset d --assembly GRCh38", &other, &["GRCh37"]);
    // Names where there is no length, in a record's contigs or of the reference.
    let named = file("c.vcf", "##contig=<ID=chr1,assembly=b37>", "C");
    let told = ["line 2: assembly=b37 is of GRCh37", "give --assembly"];
    place.refused("vcf --dataset d", &named, &told);
    let reference = file("e.vcf", "##reference=file:///ref/hs37d5.fa", "E");
    let told = ["line 2: ##reference=file:///ref/hs37d5.fa is of GRCh37"];
    place.refused("vcf --dataset d", &reference, &told);
    place.load("vcf --dataset d --assembly hg38", &reference);
    // All names of one assembly are one; a header that does not tell is taken, and so is a name that is not known.
    for (n, header) in [
        "##contig=<ID=chr1,assembly=hg38>",
        "##contig=<ID=chr1,assembly=GCA_000001405.15_GRCh38_no_alt>",
        "##reference=Homo_sapiens_assembly38.fasta",
        "##contig=<ID=chr1>",
        "##contig=<ID=chr1,assembly=b36>",
    ]
    .iter()
    .enumerate()
    {
        let name = format!("ok{n}.vcf");
        place.load("vcf --dataset d", &file(&name, header, &name));
    }
    // Where neither is known, lengths of the same contig.
    let mouse = |length: u32, assembly: &str| {
        format!("##contig=<ID=chr1,length={length},assembly={assembly}>")
    };
    place.load(
        "vcf --dataset m",
        &file("m.vcf", &mouse(195_471_971, "mm10"), "M"),
    );
    place.load(
        "vcf --dataset m",
        &file("n.vcf", &mouse(195_471_971, "GRCm38"), "N"),
    );
    let told = [
        "line 2",
        "contig \"chr1\" has length 195154279 here and 195471971 before",
    ];
    place.refused(
        "vcf --dataset m",
        &file("o.vcf", &mouse(195_154_279, "mm39"), "O"),
        &told,
    );
}

#[test]
fn inputs_of_one_job_and_its_reference_agree() {
    let place = Place::new();
    let one = place.file("one.vcf", &vcf(LENGTH_38, "chr1", Some("A")));
    let two = "##contig=<ID=1,length=249250621>";
    place.file("two.vcf", &vcf(two, "1", Some("B")));
    let all = one.with_file_name("[ot]*.vcf");
    let told = [
        "input 2, line 2",
        "is of GRCh37, and input 1 (line 2: the length 248956422 of contig \"chr1\") is on GRCh38",
    ];
    place.refused("vcf --dataset d", &all, &told);
    // The .fai of a reference tells its lengths.
    let fasta = place.file("r.fa", ">chr1\nACGT\n");
    place.file("r.fa.fai", "chr1\t249250621\t6\t4\t5\n");
    let words = format!("vcf --dataset d --reference {}", fasta.display());
    let told = ["the FASTA of --reference is of GRCh37, and input 1 (line 2"];
    place.refused(&words, &one, &told);
}

#[test]
fn a_table_of_sites_is_of_one_assembly() {
    let place = Place::new();
    let file =
        |name: &str, header: &str, contig: &str| place.file(name, &vcf(header, contig, None));
    let silent = file("silent.vcf", "##contig=<ID=1>", "1");
    place.load("sites --table kb.n --release 2020-01-01", &silent);
    // The first file that tells gives the table its assembly.
    let told = file("told.vcf", "##contig=<ID=1,length=248956422>", "1");
    place.load("sites --table kb.n --release 2021-01-01", &told);
    let other = file("other.vcf", "##contig=<ID=1,assembly=GRCh37>", "1");
    let words = ["input 1, line 2: assembly=GRCh37 is of GRCh37, and table kb.n is on GRCh38"];
    place.refused("sites --table kb.n --release 2022-01-01", &other, &words);
    let (rows, _) = place.sql("SELECT release, count(*) FROM kb.n GROUP BY release ORDER BY 1");
    assert_eq!(rows, "2020-01-01,1\n2021-01-01,1");
    place.load(
        "sites --table kb.n --release 2022-01-01 --assembly GRCh38",
        &other,
    );
    let t2t = file("t2t.vcf", "##contig=<ID=1,length=248387328>", "1");
    place.refused(
        "sites --table kb.n --release 2023-01-01",
        &t2t,
        &["T2T-CHM13v2.0"],
    );
    place.load("sites --table kb.n --release 2023-01-01 --replace", &t2t);
    place.refused(
        "sites --table kb.n --release 2024-01-01",
        &told,
        &["table kb.n is on T2T-CHM13v2.0"],
    );
}

#[test]
fn a_table_of_regions_is_of_one_assembly() {
    let place = Place::new();
    let gff = |build: &str| {
        format!("##gff-version 3\n#!genome-build {build}\n1\tx\tgene\t5\t9\t.\t+\t.\tID=a{build}\n")
    };
    let (old, new) = (gff("GRCh37.p13"), gff("GRCh38.p14"));
    place.load("regions --table kb.genes", &place.file("new.gff3", &new));
    let old = place.file("old.gff3", &old);
    let told = [
        "input 1, line 2: \"#!genome-build GRCh37.p13\" is of GRCh37, and table kb.genes is on GRCh38",
    ];
    place.refused("regions --table kb.genes", &old, &told);
    let bed = place.file("a.bed", "track name=a db=hg38\n1\t1\t5\n");
    place.load("regions --table kb.panel", &bed);
    let bed = place.file("b.bed", "1\t1\t5\n");
    let told = ["--assembly is of GRCh37, and table kb.panel is on GRCh38"];
    place.refused("regions --table kb.panel --assembly hg19", &bed, &told);
    place.refused("regions --table kb.panel --assembly mars", &bed, &["mars"]);
    place.load("regions --table kb.panel", &bed);
    place.load("regions --table kb.genes --replace", &old);
}

#[test]
fn mutations_of_a_study_are_of_one_assembly() {
    let place = Place::new();
    let study = |name: &str, builds: [&str; 2], meta: &str| {
        place.file(
            &format!("{name}/meta_study.txt"),
            &format!("cancer_study_identifier: {name}\n{meta}"),
        );
        place.file(
            &format!("{name}/meta_mutations.txt"),
            "genetic_alteration_type: MUTATION_EXTENDED\ndatatype: MAF\ndata_filename: m.txt\n",
        );
        let [a, b] = builds;
        let maf = format!(
            "Hugo_Symbol\tNCBI_Build\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele2\t\
             Tumor_Sample_Barcode\nG\t{a}\t1\t100\t100\tA\tG\tS\nG\t{b}\t1\t101\t101\tA\tG\tS\n"
        );
        place
            .file(&format!("{name}/m.txt"), &maf)
            .parent()
            .unwrap()
            .to_owned()
    };
    place.load("cbioportal", &study("good", ["37", "GRCh37"], ""));
    let told = [
        "input 1, line 3: NCBI_Build \"GRCh38\" of m.txt is of GRCh38, and table mixed.mutation is on GRCh37",
    ];
    place.refused(
        "cbioportal",
        &study("mixed", ["GRCh37", "GRCh38"], ""),
        &told,
    );
    // What no line tells the study does.
    let quiet = study("quiet", ["", ""], "reference_genome: hg38\n");
    place.load("cbioportal", &quiet);
    place.load(
        "sites --table kb.n",
        &place.file("n.vcf", &vcf("##contig=<ID=1,length=249250621>", "1", None)),
    );
    let join = |table: &str| {
        place
            .sql(&format!(
                "SELECT count(*) FROM {table} m JOIN kb.n n USING (contig, pos, ref, alt)"
            ))
            .1
    };
    assert!(!join("good.mutation").contains("contigs of"));
    assert!(
        join("quiet.mutation").contains("contigs of"),
        "{}",
        join("quiet.mutation")
    );
}

#[test]
fn phenopackets_are_of_one_assembly() {
    let place = Place::new();
    let packet = |id: &str, assembly: &str| super::phenopackets::packet(id, assembly, "1");
    place.load("phenopackets", &place.file("a.json", &packet("a", "hg38")));
    place.load(
        "phenopackets",
        &place.file("b.json", &packet("b", "GRCh38.p13")),
    );
    let other = place.file("c.json", &packet("c", "GRCh37"));
    let told = [
        "input 1, line 1: genomeAssembly \"GRCh37\" of the message is of GRCh37, and table clin.interpretation is on GRCh38",
    ];
    place.refused("phenopackets", &other, &told);
    place.load("phenopackets --schema old", &other);
}
