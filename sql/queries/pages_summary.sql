-- Counts for the result: engines, failures, confidence.
SELECT engine, count(*), sum(confidence) FILTER (WHERE engine IN ('ocr', 'mixed')),
       count(confidence) FILTER (WHERE engine IN ('ocr', 'mixed'))
FROM document_pages WHERE revision_id = $1::uuid GROUP BY engine ORDER BY engine
