-- Pages in order behind $2, with what the chunker needs.
SELECT page, text, layout, engine FROM document_pages
WHERE revision_id = $1::uuid AND page > $2::int ORDER BY page LIMIT $3::int
