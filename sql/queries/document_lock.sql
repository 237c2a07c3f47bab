-- The document that a reprocessing is about to switch; no row: it was deleted.
SELECT revision_id FROM documents WHERE document_id = $1::uuid FOR UPDATE
