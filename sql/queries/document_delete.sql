-- Removes a document with all that only it refers to.
WITH gone AS (
    DELETE FROM documents WHERE document_id = $1::uuid RETURNING revision_id, file_path),
pages AS (
    DELETE FROM document_pages AS p USING gone WHERE p.revision_id = gone.revision_id),
parts AS (
    DELETE FROM chunks AS c USING gone WHERE c.revision_id = gone.revision_id)
SELECT file_path FROM gone
