-- Copies of every carried ALT allele in cases and in controls.
SELECT c.pos, c.ref, c.alt,
       sum(CASE WHEN p.affected THEN c.dosage ELSE 0 END), sum(CASE WHEN p.affected THEN 0 ELSE c.dosage END)
FROM carriers c JOIN (SELECT sample, sample % 4 <> 3 AS affected FROM samples) p ON p.sample = c.sample
GROUP BY c.pos, c.ref, c.alt;
