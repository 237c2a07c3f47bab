-- The pages that could not be read; the first 1000.
SELECT page, coalesce(error, reason) FROM document_pages
WHERE revision_id = $1::uuid AND engine = 'failed' ORDER BY page LIMIT 1000
