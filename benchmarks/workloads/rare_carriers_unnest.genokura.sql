-- Who carries an allele of a frequency below 0.1 % in 50 kb, from the packed column.
SELECT pos, ref, alt, unnest(gt_carriers(gt)) AS sample_id FROM cohort.variants
WHERE af < 0.001 AND contig = '{contig}' AND pos BETWEEN {start} AND {end};
