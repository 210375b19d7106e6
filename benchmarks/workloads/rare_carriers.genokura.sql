-- Who carries an allele of a frequency below 0.1 % in 50 kb.
SELECT v.pos, v.ref, v.alt, c.sample_id
FROM cohort.variants v
JOIN cohort.carriers c ON c.contig = v.contig AND c.pos = v.pos AND c.ref = v.ref AND c.alt = v.alt
WHERE v.af < 0.001 AND v.contig = '{contig}' AND v.pos BETWEEN {start} AND {end}
  AND c.contig = '{contig}' AND c.pos BETWEEN {start} AND {end};
