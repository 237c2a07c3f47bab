-- Is anybody there.
SELECT 1
