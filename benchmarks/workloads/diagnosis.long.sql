-- Copies of every carried ALT allele in the people of each diagnosis.
SELECT p.diagnosis, c.pos, c.ref, c.alt, sum(c.dosage)
FROM carriers c JOIN (
    SELECT sample, CASE sample % 4 WHEN 0 THEN 'cancer' WHEN 1 THEN 'rare disease' WHEN 2 THEN 'diabetes' ELSE 'control' END AS diagnosis
    FROM samples
) p ON p.sample = c.sample
GROUP BY p.diagnosis, c.pos, c.ref, c.alt;
