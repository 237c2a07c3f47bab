-- Pages behind $2 of a revision; $4: with text.
SELECT page, label, engine, reason, confidence, char_count, width, height, rotation, ms, error,
       CASE WHEN $4::boolean THEN text END
FROM document_pages WHERE revision_id = $1::uuid AND page > $2::int ORDER BY page LIMIT $3::int
