import { LAST_NOTIFICATION_AT, limitCasesByBytes, selectCases } from '../cases/cases.sql.js';

const IS_WANTED = `
  (asked.case_id IS NULL OR c.case_id = asked.case_id)
  AND (asked.workflow_id IS NULL OR c.workflow_id = asked.workflow_id)
  AND (asked.callee_number IS NULL OR c.callee_number = asked.callee_number)`;

/**
 * Looks up all items in one statement. Each item uses one index: uq_cases_identity with a workflow and a case id,
 * ix_cases_case with a case id alone, ix_cases_callee with a number.
 *
 * An index in the order of completion is read from its end. The few cases of a workflow and a case id are sorted by an
 * expression; otherwise the planner would prefer an index in the order of completion.
 *
 * An item without a case is looked up in quarantine (ix_quarantined_notifications_case, _callee). A field that could
 * not be read there matches every value.
 *
 * Parameters: case ids, workflow ids, callee numbers, each null if not given; the number of cases per item plus one.
 */
export const LOOK_UP = `
  WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY
      AS asked (case_id, workflow_id, callee_number, place)
  ),
  matches AS MATERIALIZED (
    SELECT place, found.id FROM asked CROSS JOIN LATERAL (
      SELECT c.id FROM cases c
      WHERE c.workflow_id = asked.workflow_id AND c.case_id = asked.case_id AND ${IS_WANTED}
      ORDER BY ROW (c.completed_at, c.id) DESC LIMIT $4) AS found
    WHERE asked.case_id <> '' AND asked.workflow_id IS NOT NULL
    UNION ALL
    SELECT place, found.id FROM asked CROSS JOIN LATERAL (
      SELECT c.id FROM cases c
      WHERE c.case_id = asked.case_id AND ${IS_WANTED}
      ORDER BY c.completed_at DESC, c.id DESC LIMIT $4) AS found
    WHERE asked.case_id <> '' AND asked.workflow_id IS NULL
    UNION ALL
    SELECT place, found.id FROM asked CROSS JOIN LATERAL (
      SELECT c.id FROM cases c
      WHERE c.callee_number = asked.callee_number AND ${IS_WANTED}
      ORDER BY c.completed_at DESC, c.id DESC LIMIT $4) AS found
    WHERE coalesce(asked.case_id, '') = ''
  ),
  held AS (
    SELECT place FROM asked
    WHERE place NOT IN (SELECT place FROM matches) AND EXISTS (
      SELECT FROM quarantined_notifications q
      WHERE (q.case_id = nullif(asked.case_id, '') OR q.callee_number = nullif(asked.callee_number, ''))
        AND coalesce(q.case_id = asked.case_id, true)
        AND coalesce(q.workflow_id = asked.workflow_id, true)
        AND coalesce(q.callee_number = asked.callee_number, true))
  )
  SELECT list.last_notification_at, list.held, places.places, whole.*
  FROM (SELECT ${LAST_NOTIFICATION_AT} AS last_notification_at, ARRAY (SELECT place::integer FROM held) AS held) AS list
  LEFT JOIN (
    (SELECT id, array_agg(place::integer) AS places FROM matches GROUP BY id) AS places
    LEFT JOIN (${limitCasesByBytes(selectCases('SELECT DISTINCT id FROM matches'), 'completed_at DESC, id DESC')}) AS whole USING (id)
  ) ON true`;
