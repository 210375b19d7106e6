//! Studies in the format of cBioPortal.

use super::*;

/// A small study with every kind of file.
fn study(dir: &Path) -> PathBuf {
    let study = dir.join("study");
    std::fs::create_dir(&study).unwrap();
    let meta = |name: &str, kind: &str, datatype: &str, more: &str| {
        let text = format!(
            "cancer_study_identifier: demo_2024\ngenetic_alteration_type: {kind}\ndatatype: {datatype}\n\
             {more}data_filename: data_{name}.txt\n"
        );
        written(&study, &format!("meta_{name}.txt"), &text);
    };
    let data = |name: &str, text: &str| written(&study, &format!("data_{name}.txt"), text);
    written(
        &study,
        "meta_study.txt",
        "type_of_cancer: brca\ncancer_study_identifier: demo_2024\nname: Demo: one\n",
    );
    meta("clinical_patient", "CLINICAL", "PATIENT_ATTRIBUTES", "");
    data(
        "clinical_patient",
        "#Patient\tAge\tDeceased\tGrade\n#Id\tAge at diagnosis\tDeceased\tGrade\n#STRING\tNUMBER\tBOOLEAN\tSTRING\n\
         #1\t1\t1\t1\nPATIENT_ID\tAGE\tOS_DEAD\tGRADE\nP1\t51\tTRUE\t2\nP2\t[Not Available]\tFALSE\t[Not Applicable]\n",
    );
    meta("clinical_sample", "CLINICAL", "SAMPLE_ATTRIBUTES", "");
    data(
        "clinical_sample",
        "PATIENT_ID\tSAMPLE_ID\tPURITY\nP1\tS1\t0.5\nP1\tS2\t0.75\nP2\tS3\t\n",
    );
    meta(
        "mutations",
        "MUTATION_EXTENDED",
        "MAF",
        "stable_id: mutations\n",
    );
    data(
        "mutations",
        "#version 2.4\nHugo_Symbol\tEntrez_Gene_Id\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\t\
         Tumor_Seq_Allele1\tTumor_Seq_Allele2\tTumor_Sample_Barcode\tHGVSp_Short\tt_alt_count\n\
         TP53\t7157\t17\t7674220\t7674220\tC\tC\tT\tS1\tp.R248Q\t31\n\
         TP53\t7157\t17\t7675088\t7675088\tC\tT\tC\tS3\tp.R175H\t\n\
         SRY\t6736\t24\t2787515\t2787515\tc\tNA\tt\tS3\tp.A1T\t4\n",
    );
    meta(
        "expression",
        "MRNA_EXPRESSION",
        "CONTINUOUS",
        "stable_id: rna_seq\n",
    );
    data(
        "expression",
        "Hugo_Symbol\tEntrez_Gene_Id\tS1\tS2\tS3\nTP53\t7157\t10.5\t2\tNA\nHLA-A\t3105\t1\t\t3e2\n",
    );
    meta(
        "zscores",
        "MRNA_EXPRESSION",
        "Z-SCORE",
        "stable_id: rna_seq_z\n",
    );
    data("zscores", "Hugo_Symbol\tS1\nTP53\t-1.25\n");
    meta(
        "cna",
        "COPY_NUMBER_ALTERATION",
        "DISCRETE",
        "stable_id: gistic\n",
    );
    data("cna", "Hugo_Symbol\tS1\tS2\nERBB2\t2\t-1\n");
    meta("seg", "COPY_NUMBER_ALTERATION", "SEG", "");
    data(
        "seg",
        "ID\tchrom\tloc.start\tloc.end\tnum.mark\tseg.mean\nS1\t17\t100\t900\t12\t-0.5\n\
         S2\t23\t100\t900\t12\t-1\n",
    );
    meta("panel", "GENE_PANEL_MATRIX", "GENE_PANEL_MATRIX", "");
    study
}

#[test]
fn a_study_of_cbioportal_becomes_tables_and_long_matrices() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let study = study(dir.path());
    let told = ingest(&lake, &["cbioportal", "--contigs", "chr"], &[&study]);
    assert!(
        told.contains("not-loaded-gene_panel_matrix-gene_panel_matrix: 1"),
        "{told}"
    );
    assert!(ingest(&lake, &["cbioportal", "--contigs", "chr"], &[&study]).contains("already"));
    for (sql, rows) in [
        (
            "SELECT study_id, person_id, age, os_dead, grade FROM demo_2024.patient ORDER BY 2",
            &["demo_2024,P1,51,t,2", "demo_2024,P2,,f,"][..],
        ),
        (
            "SELECT person_id, sample_id, purity FROM demo_2024.sample ORDER BY 2",
            &["P1,S1,0.5", "P1,S2,0.75", "P2,S3,"],
        ),
        (
            "SELECT gene, entrez_id, contig, pos, ref, alt, sample_id, hgvsp_short, t_alt_count FROM demo_2024.mutation ORDER BY pos",
            &[
                "SRY,6736,chrY,2787515,C,T,S3,p.A1T,4",
                "TP53,7157,chr17,7674220,C,T,S1,p.R248Q,31",
                "TP53,7157,chr17,7675088,C,T,S3,p.R175H,",
            ],
        ),
        (
            "SELECT sample_id, contig, pos, end_pos, n_probes, mean FROM demo_2024.segment ORDER BY 1",
            &["S1,chr17,100,900,12,-0.5", "S2,chrX,100,900,12,-1"],
        ),
        (
            "SELECT gene, sample_id, value FROM omics.copy_number ORDER BY 2",
            &["ERBB2,S1,2", "ERBB2,S2,-1"],
        ),
        (
            "SELECT profile, gene, entrez_id, sample_id, value FROM omics.expression ORDER BY 1, 2, 4",
            &[
                "rna_seq,HLA-A,3105,S1,1",
                "rna_seq,HLA-A,3105,S3,300",
                "rna_seq,TP53,7157,S1,10.5",
                "rna_seq,TP53,7157,S2,2",
                "rna_seq_z,TP53,,S1,-1.25",
            ],
        ),
        (
            "SELECT * FROM omics_wide('omics.expression', ARRAY['TP53', 'HLA-A'], 'rna_seq') ORDER BY sample_id",
            &["S1,10.5,1", "S2,2,", "S3,,300"],
        ),
        (
            "SELECT w.hla_a, m.hgvsp_short FROM omics_wide('omics.expression', ARRAY['HLA-A'], 'rna_seq') w \
             JOIN demo_2024.mutation m USING (sample_id) WHERE w.hla_a > 1 AND m.gene = 'TP53'",
            &["300,p.R175H"],
        ),
        (
            "SELECT erbb2 FROM omics_wide('omics.copy_number', ARRAY['ERBB2']) ORDER BY 1",
            &["-1", "2"],
        ),
    ] {
        assert_eq!(select(&lake, sql), rows, "{sql}");
    }
    let comment = "SELECT col_description('demo_2024.patient'::regclass, 3)";
    let served = support::Served::lake(&lake);
    let told = stdout_of(served.psql().args(["-A", "-t", "-c", comment]));
    assert_eq!(told.trim(), "Age: Age at diagnosis");
    for (call, what) in [
        ("('omics.expression', ARRAY['TP53'])", "several profiles"),
        (
            "('omics.expression', ARRAY['TP53'], 'rna')",
            "profile \"rna\" is not in this matrix",
        ),
        (
            "('omics.expression', ARRAY['TP53', 'TP54'], 'rna_seq')",
            "gene \"TP54\" is not in this matrix",
        ),
        (
            "('omics.expression', ARRAY['HLA-A', 'HLA.A'], 'rna_seq')",
            "two of the genes make a column",
        ),
        ("('omics.none', ARRAY['TP53'])", "does not exist"),
        (
            "('demo_2024.sample', ARRAY['TP53'])",
            "has no column \"gene\"",
        ),
        (
            "('omics.expression', 'TP53')",
            "takes (matrix, genes [, profile])",
        ),
    ] {
        let sql = format!("SELECT * FROM omics_wide{call}");
        let output = run(genokura().args(["sql", "-c", &sql, "--lake"]).arg(&lake));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(what), "{call}: {error}");
    }
}

#[test]
fn a_bad_study_is_named_by_file_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    assert!(refused(&lake, "cbioportal", dir.path()).contains("no meta_study.txt"));
    let study = study(dir.path());
    for (name, text, told) in [
        (
            "data_expression.txt",
            "Hugo_Symbol\tS1\tS2\nTP53\t1\thigh\n",
            "line 2, column \"data_expression.txt: column 3\": no number",
        ),
        (
            "data_expression.txt",
            "Hugo_Symbol\tS1\tS1\nTP53\t1\t2\n",
            "column 3 of the header names no sample, or one that another",
        ),
        (
            "data_expression.txt",
            "Gene\tS1\nTP53\t1\n",
            "data_expression.txt: no column Hugo_Symbol",
        ),
        (
            "data_cna.txt",
            "Hugo_Symbol\tS1\tS2\nERBB2\t2\n",
            "line 2: data_cna.txt: the row has 2 cells, the header 3",
        ),
        (
            "data_mutations.txt",
            "#version 2.4\nHugo_Symbol\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele2\t\
             Tumor_Sample_Barcode\nTP53\t17\t7674220\t7674219\tC\tT\tS1\n",
            "line 3: data_mutations.txt: end 7674219 is before start 7674220",
        ),
        (
            "data_mutations.txt",
            "#version 2.4\nHugo_Symbol\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele1\t\
             Tumor_Sample_Barcode\nTP53\t17\t5\t5\tC\tT\tS1\nTP53\t17\t6\t6\tC\tC\tS1\n",
            "line 4: data_mutations.txt: no tumour allele differs from the reference",
        ),
        (
            "data_mutations.txt",
            "Hugo_Symbol\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele2\t\
             Tumor_Sample_Barcode\nA\t17\t5\t5\tC\tT\tS1\nB\t17\t6\t6\tC\tT\t\n",
            "line 3: data_mutations.txt: the row has no sample",
        ),
        (
            "data_mutations.txt",
            "Hugo_Symbol\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele2\t\
             Tumor_Sample_Barcode\nA\tNA\t5\t5\tC\tT\tS1\n",
            "line 2: data_mutations.txt: the row has no contig",
        ),
        (
            "data_mutations.txt",
            "Hugo_Symbol\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele2\t\
             Tumor_Sample_Barcode\nA\t17\t\t\tC\tT\tS1\n",
            "line 2: data_mutations.txt: the row has no position",
        ),
        (
            "data_mutations.txt",
            "Hugo_Symbol\tChromosome\nTP53\t17\n",
            "data_mutations.txt: no column for pos",
        ),
        (
            "data_clinical_patient.txt",
            "#a\tb\n#a\tb\n#STRING\tDATE\n#1\t1\nPATIENT_ID\tX\nP1\t1\n",
            "line 3: data_clinical_patient.txt: column 2: \"DATE\" is no type",
        ),
        (
            "data_clinical_patient.txt",
            "#a\tb\n#a\tb\n#STRING\tNUMBER\n#1\t1\nPATIENT_ID\tAGE\nP1\told\n",
            "line 6, column \"data_clinical_patient.txt: AGE\": a text of 3 characters is no float8 (rule cell-type); mend the cell\n",
        ),
        (
            "data_clinical_patient.txt",
            "PATIENT_ID\tAGE\nP1\t5\nP2\t6\nP1\t7\n",
            "line 4: data_clinical_patient.txt: the patient of this row is listed in line 2 of data_clinical_patient.txt already",
        ),
        (
            "data_clinical_sample.txt",
            "PATIENT_ID\tSAMPLE_ID\nP1\tS1\nP2\tS1\n",
            "line 3: data_clinical_sample.txt: the sample of this row is listed in line 2",
        ),
        (
            "data_clinical_sample.txt",
            "PATIENT_ID\tSAMPLE_ID\nP1\tS1\nP2\t[Not Available]\n",
            "line 3: data_clinical_sample.txt: the row names no sample",
        ),
        (
            "data_mutations.txt",
            "Hugo_Symbol\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele2\t\
             Tumor_Sample_Barcode\nA\t17\t5\t5\tC\tT\tS1\nB\tchr17\t6\t6\tC\tT\tS1\n",
            "names contigs like \"17\" and in row 2 \"chr17\": joins would find half of such a table",
        ),
        (
            "meta_cna.txt",
            "data_filename data_cna.txt\n",
            "meta_cna.txt, line 1: expected",
        ),
        (
            "meta_cna.txt",
            "genetic_alteration_type: COPY_NUMBER_ALTERATION\ndatatype: DISCRETE\ndata_filename: none.txt\n",
            "names the file none.txt, which is not there",
        ),
        (
            "meta_cna.txt",
            "cancer_study_identifier: other\ndata_filename: data_cna.txt\n",
            "meta_cna.txt is of another study",
        ),
    ] {
        let held = std::fs::read_to_string(study.join(name)).unwrap();
        written(&study, name, text);
        let error = refused(&lake, "cbioportal", &study);
        assert!(error.contains(told), "{name}: {error}");
        written(&study, name, &held);
    }
    for (name, text, told) in [
        (
            "data_clinical_patient.txt",
            &b"#a\tb\n#Jos\xe9\tb\n#STRING\tSTRING\n#1\t1\nPATIENT_ID\tX\nP1\t1\n"[..],
            "line 2: data_clinical_patient.txt: not UTF-8",
        ),
        (
            "data_clinical_sample.txt",
            b"PATIENT_ID\tSAMPLE_ID\tSITE\nP1\tS1\tcr\xe2ne\n",
            "line 2, column \"data_clinical_sample.txt: SITE\": not UTF-8",
        ),
        (
            "meta_cna.txt",
            b"a: b\nc: \xe9\n",
            "meta_cna.txt, line 2: not UTF-8",
        ),
    ] {
        let held = std::fs::read(study.join(name)).unwrap();
        std::fs::write(study.join(name), text).unwrap();
        let error = refused(&lake, "cbioportal", &study);
        assert!(error.contains(told), "{name}: {error}");
        std::fs::write(study.join(name), held).unwrap();
    }
    ingest(&lake, &["cbioportal"], &[&study]);
    written(
        &study,
        "data_seg.txt",
        "ID\tchrom\tloc.start\tloc.end\tnum.mark\tseg.mean\n",
    );
    assert!(refused(&lake, "cbioportal", &study).contains("tables of a study already"));
}

#[test]
fn samples_that_no_clinical_file_lists_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let study = study(dir.path());
    written(
        &study,
        "data_mutations.txt",
        "Hugo_Symbol\tChromosome\tStart_Position\tReference_Allele\tTumor_Seq_Allele2\tTumor_Sample_Barcode\n\
         TP53\t17\t5\tC\tT\tS1\nTP53\t17\t6\tC\tT\tX9\nTP53\t17\t7\tC\tT\tX8\n",
    );
    let told = ingest(&lake, &["cbioportal"], &[&study]);
    let note = "2 samples of this study are in no clinical file and join no row there; the first is in data_mutations.txt, line 3";
    assert!(told.contains(note), "{told}");
    assert!(
        !told.contains("X9") && !told.contains("patients of"),
        "{told}"
    );
}

#[test]
fn published_files_of_cbioportal_are_read_in_a_study() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let of = |name: &str| shared("cbioportal").join(name);
    for (name, kind, datatype, file) in [
        (
            "sample",
            "CLINICAL",
            "SAMPLE_ATTRIBUTES",
            of("kich_tcga_pub/normals/clinical_normals.txt"),
        ),
        (
            "seg",
            "COPY_NUMBER_ALTERATION",
            "SEG",
            of("kich_tcga_pub/normals/segment_normals.txt"),
        ),
        (
            "maf",
            "MUTATION_EXTENDED",
            "MAF",
            of("bcc_unige_2016/archived_files/filtered_samples_data_mutations_extended.txt"),
        ),
    ] {
        std::fs::copy(&file, dir.path().join(format!("data_{name}.txt"))).unwrap();
        let meta = format!(
            "genetic_alteration_type: {kind}\ndatatype: {datatype}\ndata_filename: data_{name}.txt\n"
        );
        written(dir.path(), &format!("meta_{name}.txt"), &meta);
    }
    written(
        dir.path(),
        "meta_study.txt",
        "cancer_study_identifier: mixed\n",
    );
    ingest(&lake, &["cbioportal"], &[dir.path()]);
    for (table, file) in [
        ("sample", "data_sample.txt"),
        ("segment", "data_seg.txt"),
        ("mutation", "data_maf.txt"),
    ] {
        let text = std::fs::read_to_string(dir.path().join(file)).unwrap();
        let n = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .count()
            - 1;
        let sql = format!("SELECT count(*) FROM mixed.{table}");
        assert_eq!(select(&lake, &sql), [n.to_string()], "{table}");
    }
    let one =
        "SELECT gene, contig, pos, ref, alt FROM mixed.mutation WHERE dbsnp_rs = 'rs141199449'";
    assert_eq!(select(&lake, one), ["MAP7,6,136687091,C,T"]);
}
