-- Who carries an allele of a frequency below 0.1 % in 50 kb; the count of copies stands in each row.
SELECT pos, ref, alt, sample FROM carriers
WHERE pos BETWEEN {start} AND {end} AND ac < 0.001 * {an};
