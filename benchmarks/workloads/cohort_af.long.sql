-- Copies of every ALT allele in a cohort; alleles that nobody there carries have no row.
SELECT pos, ref, alt, sum(dosage) AS ac FROM carriers
WHERE sample IN (SELECT sample FROM cohort) GROUP BY pos, ref, alt;
