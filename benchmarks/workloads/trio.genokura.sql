-- Alleles that a child carries and neither parent does.
SELECT pos, ref, alt FROM cohort.variants
WHERE gt_is_de_novo(gt, '{child_name}', '{father_name}', '{mother_name}');
