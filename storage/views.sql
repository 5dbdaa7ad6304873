-- Views over the append-only tables and their `current_` views; made with a lake, made anew
-- when an older one is opened (`storage/catalog.py`).

-- in = kept + dropped + rejected, for every stage and unit: nothing is lost on the way.
CREATE VIEW shard_balance AS
SELECT stage, unit AS shard_id, n_in, n_kept, n_dropped, n_rejected,
       n_in - n_kept - n_dropped - n_rejected AS balance
FROM current_ledger
ORDER BY stage, shard_id;

-- Every ingest of a source, which grows and is mended, says anew what it could not use: the same is
-- said once, and no more of a picture that has come since. A picture that was there before may have
-- been refused for something else.
CREATE VIEW current_rejects AS
SELECT * FROM rejects r
WHERE work_id IN (SELECT work_id FROM current_ledger)
  AND NOT (stage = 'ingest' AND EXISTS (
      SELECT 1
      FROM (SELECT i.uri, min(l.seq) AS since FROM images i JOIN ledger l USING (work_id)
            GROUP BY i.uri) came
      JOIN ledger l ON l.seq < came.since
      WHERE came.uri = r.uri AND l.work_id = r.work_id
  ))
QUALIFY row_number() OVER (
    PARTITION BY stage, item, uri, image_id, reason, detail, shard_id ORDER BY work_id
) = 1;

-- What a tag of any label system version is in the one in use: merged tags follow; one that lost a
-- surface form does not, since its scores and regions were made for more than it means now.
CREATE VIEW tag_ids AS
SELECT o.label_version, o.tag_id AS made_as, any_value(s.tag_id) AS tag_id
FROM label_surfaces o
JOIN current_label_surfaces s ON s.surface = o.surface AND s.kind = o.kind
WHERE o.tag_id IS NOT NULL
GROUP BY o.label_version, o.tag_id
HAVING count(DISTINCT coalesce(s.tag_id, -1)) = 1 AND any_value(s.tag_id) IS NOT NULL;

-- Where a tag comes from: captions (through the label system) and the tagger (through thresholds).
-- Both are applied here, so another label system or threshold costs no inference.
CREATE VIEW tag_sources AS
SELECT m.image_id, s.tag_id,
       CASE m.source WHEN 'original' THEN 'caption' ELSE 'generated caption' END AS source,
       CAST(NULL AS FLOAT) AS score,
       m.caption_id, m.surface, m.start, m."end",
       CAST(NULL AS VARCHAR) AS model_digest,
       CASE m.source WHEN 'original' THEN 0 ELSE 1 END AS depth,
       m.shard_id
FROM current_mentions m
JOIN current_label_surfaces s ON s.surface = m.surface AND s.kind = m.kind
-- A generated caption is a second opinion: it counts where the tagger half agrees.
WHERE s.tag_id IS NOT NULL AND (
    m.source = 'original'
    OR (m.image_id, s.tag_id) IN (
        SELECT t.image_id, f.tag_id
        FROM current_tag_scores t
        JOIN tag_ids f ON f.label_version = t.label_version AND f.made_as = t.tag_id
        JOIN current_thresholds h
          ON h.label_version = t.label_version AND h.fold = t.fold AND h.tag_id = t.tag_id
        WHERE t.score >= h.support
    )
)
UNION ALL
SELECT t.image_id, f.tag_id, 'tagger', t.score, NULL, NULL, NULL, NULL, t.model_digest, 1,
       t.shard_id
FROM current_tag_scores t
JOIN current_thresholds h
  ON h.label_version = t.label_version AND h.fold = t.fold AND h.tag_id = t.tag_id
JOIN tag_ids f ON f.label_version = t.label_version AND f.made_as = t.tag_id
WHERE t.score >= h.generate;

CREATE VIEW tag_evidence AS
SELECT e.image_id, i.split, e.tag_id, e.source, e.score, e.caption_id, e.surface, e.start, e."end",
       coalesce(e.model_digest, c.model_digest) AS model_digest, e.depth, e.shard_id
FROM tag_sources e
JOIN current_images i ON i.image_id = e.image_id
LEFT JOIN current_captions c ON c.caption_id = e.caption_id;

-- Every tag of an image before cleaning.
CREATE VIEW candidate_tags AS
SELECT e.image_id, i.split, e.tag_id, l.name, l.kind,
       list_sort(list(DISTINCT e.source)) AS sources,
       bool_or(e.source = 'caption') AS in_caption,
       max(e.score) AS score, min(e.depth) AS depth, count(*) AS evidence
FROM tag_sources e
JOIN current_images i ON i.image_id = e.image_id
JOIN current_labels l ON l.tag_id = e.tag_id
GROUP BY e.image_id, i.split, e.tag_id, l.name, l.kind;

-- Of a merged tag each name was judged by itself, and one that no rule drops is enough. Only such
-- tags are looked at twice: to group all verdicts takes four times as long.
CREATE VIEW dropped_tags AS
SELECT v.image_id, f.tag_id
FROM current_verdicts v
JOIN tag_ids f ON f.label_version = v.label_version AND f.made_as = v.tag_id
WHERE v.verdict = 'drop'
EXCEPT
SELECT v.image_id, f.tag_id
FROM current_verdicts v
JOIN tag_ids f ON f.label_version = v.label_version AND f.made_as = v.tag_id
WHERE (f.label_version, f.tag_id) IN (
    SELECT (label_version, tag_id) FROM tag_ids
    GROUP BY label_version, tag_id HAVING count(*) > 1
)
GROUP BY v.image_id, f.tag_id, f.label_version, f.made_as
HAVING bool_and(v.verdict = 'keep');

-- What training sees: candidates less those that a cleaning rule drops.
CREATE VIEW tags AS
SELECT c.*
FROM candidate_tags c
ANTI JOIN dropped_tags d ON d.image_id = c.image_id AND d.tag_id = c.tag_id;

-- How many wrong caption tags are expected in a training image, by the whole image's held-out scores
-- alone: where a detector that has a budget looks. Decimals add up to the same in any order; doubles
-- would not, and an image would be within the budget of one query and not of the next.
CREATE VIEW expected_wrong AS
WITH held_out AS (
    SELECT image_id, label_version, fold, tag_id, ln(p / (1 - p)) AS log_odds
    FROM (SELECT *, least(greatest(score, 1e-6), 1 - 1e-6)::DOUBLE AS p FROM current_tag_scores)
)
SELECT s.image_id,
       sum((1 / (1 + exp(h.slope * (s.log_odds - h.midpoint)) * (1 - h.noise) / h.noise))
           ::DECIMAL(18, 9))::DOUBLE AS wrong
FROM held_out s
JOIN current_thresholds h
  ON h.label_version = s.label_version AND h.fold = s.fold AND h.tag_id = s.tag_id
JOIN tag_ids f ON f.label_version = s.label_version AND f.made_as = s.tag_id
JOIN candidate_tags c ON c.image_id = s.image_id AND c.tag_id = f.tag_id
WHERE c.split = 'train' AND c.in_caption AND h.midpoint IS NOT NULL
GROUP BY s.image_id;

-- What a cleaning certificate is drawn from: training tags by what cleaning made of them, and pairs
-- that the tagger takes for possible (`doubt`) but that no evidence gives.
CREATE VIEW tag_strata AS
WITH judged AS (
    SELECT v.image_id, f.tag_id, min(v.score) AS wrong
    FROM current_verdicts v
    JOIN tag_ids f ON f.label_version = v.label_version AND f.made_as = v.tag_id
    WHERE v.rule = 'agreement' AND v.verdict = 'keep'
    GROUP BY v.image_id, f.tag_id
)
SELECT c.image_id, c.tag_id,
       CASE WHEN d.tag_id IS NOT NULL THEN 'dropped'
            -- What no rule could judge is as doubtful as what one nearly dropped.
            WHEN j.wrong < 0.1 THEN 'kept-sure'
            ELSE 'kept-doubtful' END AS stratum
FROM candidate_tags c
LEFT JOIN dropped_tags d ON d.image_id = c.image_id AND d.tag_id = c.tag_id
LEFT JOIN judged j ON j.image_id = c.image_id AND j.tag_id = c.tag_id
WHERE c.split = 'train'
UNION ALL
SELECT DISTINCT t.image_id, f.tag_id, 'below-threshold'
FROM current_tag_scores t
JOIN tag_ids f ON f.label_version = t.label_version AND f.made_as = t.tag_id
JOIN current_thresholds h
  ON h.label_version = t.label_version AND h.fold = t.fold AND h.tag_id = t.tag_id
JOIN current_images i ON i.image_id = t.image_id
ANTI JOIN candidate_tags c ON c.image_id = t.image_id AND c.tag_id = f.tag_id
WHERE t.score >= h.doubt AND i.split = 'train';

-- Every more general tag of a tag: poodle, dog; poodle, animal.
CREATE VIEW tag_ancestors AS
WITH RECURSIVE up AS (
    SELECT tag_id, parent_id AS ancestor_id FROM current_label_parents
    UNION
    SELECT u.tag_id, p.parent_id FROM up u JOIN current_label_parents p ON p.tag_id = u.ancestor_id
)
SELECT tag_id, ancestor_id FROM up;

-- Tags that captions hardly tell apart, both ways round: one may be a kind of the other, or both one
-- thing by a merge that nobody has decided (by a sense that is a tenth of the uses of either, as in
-- label_akin). Who says girl and woman side by side means two, so pairs that more than 2 % of the
-- rarer one's captions name both of are left out, as are those that a person has told apart.
CREATE VIEW akin_tags AS
WITH proposed AS (
    SELECT s.tag_id AS one, m.tag_id AS other, m.state, m.score
    FROM current_label_merges m
    JOIN current_labels l ON l.tag_id = m.tag_id
    JOIN current_label_surfaces s ON s.surface = m.surface
     AND (s.kind = l.kind OR (s.kind IN ('object', 'scene') AND l.kind IN ('object', 'scene')))
    WHERE s.tag_id <> m.tag_id
), pairs AS MATERIALIZED (
    SELECT least(one, other) AS one, greatest(one, other) AS other
    FROM (
        SELECT tag_id AS one, general_id AS other FROM current_label_akin
        UNION ALL
        SELECT one, other FROM proposed WHERE state = 'needs-review' AND score >= 0.1
    )
    EXCEPT
    SELECT least(one, other), greatest(one, other) FROM proposed WHERE state = 'rejected'
), said AS MATERIALIZED (
    SELECT DISTINCT m.caption_id, s.tag_id
    FROM current_mentions m
    JOIN current_label_surfaces s ON s.surface = m.surface AND s.kind = m.kind
    WHERE m.source = 'original'
      AND s.tag_id IN (SELECT one FROM pairs UNION SELECT other FROM pairs)
), often AS (SELECT tag_id, count(*) AS captions FROM said GROUP BY tag_id),
-- Of all tags that one caption names: as a join of `pairs` with both it takes five times as long.
together AS MATERIALIZED (
    SELECT x.tag_id AS one, y.tag_id AS other, count(*) AS captions
    FROM said x
    JOIN said y ON y.caption_id = x.caption_id AND y.tag_id > x.tag_id
    GROUP BY x.tag_id, y.tag_id
), alike AS (
    SELECT p.one, p.other
    FROM pairs p
    LEFT JOIN together t ON t.one = p.one AND t.other = p.other
    LEFT JOIN often a ON a.tag_id = p.one
    LEFT JOIN often b ON b.tag_id = p.other
    WHERE t.captions IS NULL OR t.captions <= 0.02 * least(a.captions, b.captions)
)
SELECT one AS tag_id, other AS akin_id FROM alike
UNION ALL
SELECT other, one FROM alike;

-- The most specific tags of an image: no animal where there is a dog.
CREATE VIEW specific_tags AS
SELECT t.*
FROM tags t
ANTI JOIN (
    SELECT s.image_id, a.ancestor_id
    FROM tags s JOIN tag_ancestors a ON a.tag_id = s.tag_id
) g ON g.image_id = t.image_id AND g.ancestor_id = t.tag_id;

-- Without names and lists per image, which are most of the cost with millions of images.
CREATE VIEW tag_stats AS
SELECT l.tag_id, l.name, l.kind,
       count(*) AS candidates,
       count(*) FILTER (c.in_caption) AS from_captions,
       count(*) FILTER (NOT c.in_caption) AS generated,
       count(d.tag_id) AS dropped,
       count(*) - count(d.tag_id) AS images,
       avg(c.score) AS mean_score
FROM (
    SELECT image_id, tag_id, bool_or(source = 'caption') AS in_caption, max(score) AS score
    FROM tag_sources
    GROUP BY image_id, tag_id
) c
JOIN current_labels l ON l.tag_id = c.tag_id
LEFT JOIN dropped_tags d ON d.image_id = c.image_id AND d.tag_id = c.tag_id
GROUP BY l.tag_id, l.name, l.kind
ORDER BY images DESC, l.name;

-- By ID: two kinds may share a name.
CREATE VIEW tag_cooccurrence AS
SELECT a.tag_id, a.name AS tag, b.tag_id AS other_id, b.name AS other, count(*) AS images
FROM tags a JOIN tags b ON a.image_id = b.image_id AND a.tag_id < b.tag_id
GROUP BY a.tag_id, a.name, b.tag_id, b.name
ORDER BY images DESC, tag, other, a.tag_id, b.tag_id;
