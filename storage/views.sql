-- Views over the append-only tables and their `current_` views; created once, by `Lake.create`.

-- in = kept + dropped + rejected, for every stage and unit: nothing is lost on the way.
CREATE VIEW shard_balance AS
SELECT stage, unit AS shard_id, n_in, n_kept, n_dropped, n_rejected,
       n_in - n_kept - n_dropped - n_rejected AS balance
FROM current_ledger
ORDER BY stage, shard_id;

-- Where a tag comes from: captions (through the label system) and the tagger (through thresholds).
-- Both are applied here, so another label system or threshold costs no inference.
CREATE VIEW tag_evidence AS
SELECT m.image_id, i.split, s.tag_id,
       CASE m.source WHEN 'original' THEN 'caption' ELSE 'generated caption' END AS source,
       CAST(NULL AS FLOAT) AS score,
       m.caption_id, m.surface, m.start, m."end",
       c.model_digest,
       CASE m.source WHEN 'original' THEN 0 ELSE 1 END AS depth,
       m.shard_id
FROM current_mentions m
JOIN current_label_surfaces s ON s.surface = m.surface AND s.kind = m.kind
JOIN current_captions c ON c.caption_id = m.caption_id
JOIN current_images i ON i.image_id = m.image_id
LEFT JOIN current_tag_scores t
  ON m.source = 'generated' AND t.image_id = m.image_id AND t.tag_id = s.tag_id
LEFT JOIN current_thresholds h
  ON h.label_version = t.label_version AND h.fold = t.fold AND h.tag_id = t.tag_id
-- A generated caption is a second opinion: it counts where the tagger half agrees.
WHERE s.tag_id IS NOT NULL AND (m.source = 'original' OR t.score >= h.support)
UNION ALL
SELECT t.image_id, i.split, t.tag_id, 'tagger', t.score, NULL, NULL, NULL, NULL, t.model_digest, 1,
       t.shard_id
FROM current_tag_scores t
JOIN current_thresholds h
  ON h.label_version = t.label_version AND h.fold = t.fold AND h.tag_id = t.tag_id
JOIN current_labels l ON l.label_version = t.label_version AND l.tag_id = t.tag_id
JOIN current_images i ON i.image_id = t.image_id
WHERE t.score >= h.generate;

-- Every tag of an image before cleaning.
CREATE VIEW candidate_tags AS
SELECT e.image_id, e.split, e.tag_id, l.name, l.kind,
       list_sort(list(DISTINCT e.source)) AS sources,
       bool_or(e.source = 'caption') AS in_caption,
       max(e.score) AS score, min(e.depth) AS depth, count(*) AS evidence
FROM tag_evidence e
JOIN current_labels l ON l.tag_id = e.tag_id
GROUP BY e.image_id, e.split, e.tag_id, l.name, l.kind;

-- What training sees: candidates less those that a cleaning rule drops.
CREATE VIEW tags AS
SELECT c.*
FROM candidate_tags c
ANTI JOIN (
    SELECT v.image_id, v.tag_id
    FROM current_verdicts v
    JOIN current_labels l ON l.label_version = v.label_version AND l.tag_id = v.tag_id
    WHERE v.verdict = 'drop'
) d ON d.image_id = c.image_id AND d.tag_id = c.tag_id;

CREATE VIEW tag_stats AS
SELECT c.tag_id, c.name, c.kind,
       count(*) AS candidates,
       count(*) FILTER (c.in_caption) AS from_captions,
       count(*) FILTER (NOT c.in_caption) AS generated,
       count(*) - count(t.tag_id) AS dropped,
       count(t.tag_id) AS images,
       avg(c.score) AS mean_score
FROM candidate_tags c
LEFT JOIN tags t ON t.image_id = c.image_id AND t.tag_id = c.tag_id
GROUP BY c.tag_id, c.name, c.kind
ORDER BY images DESC, c.name;

CREATE VIEW tag_cooccurrence AS
SELECT a.name AS tag, b.name AS other, count(*) AS images
FROM tags a JOIN tags b ON a.image_id = b.image_id AND a.tag_id < b.tag_id
GROUP BY a.name, b.name
ORDER BY images DESC, tag, other;
