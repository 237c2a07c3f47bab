-- Drops the pages of a revision nobody will read.
DELETE FROM document_pages WHERE revision_id = $1::uuid
