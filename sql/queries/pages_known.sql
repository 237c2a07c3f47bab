-- What earlier attempts of this job read.
SELECT page, engine FROM document_pages WHERE revision_id = $1::uuid ORDER BY page
