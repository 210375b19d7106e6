-- Alleles that a child carries and neither parent does; nobody's call is missing here.
SELECT pos, ref, alt FROM carriers c WHERE sample = {child} AND NOT EXISTS (
    SELECT 1 FROM carriers p WHERE p.sample IN ({father}, {mother})
    AND p.pos = c.pos AND p.ref = c.ref AND p.alt = c.alt);
