-- Frequency of every ALT allele in a cohort of 5,000 people.
SELECT pos, ref, alt, gt_allele_frequency(gt, ARRAY[{cohort}]) AS af FROM cohort.variants;
