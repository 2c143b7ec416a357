const COLUMNS = `
  n.id, n.kind, n.received_at, n.verdict, octet_length(n.body) AS body_bytes, n.case_ref, c.workflow_id, c.case_id,
  c.callee_number`;

/** Reads pk_notifications and pk_cases. */
export const GET_NOTIFICATION = `SELECT ${COLUMNS}, n.body FROM notifications n JOIN cases c ON c.id = n.case_ref WHERE n.id = $1`;

/** Reads ix_notifications_case. */
export const LIST_NOTIFICATIONS_OF_CASE = `
  SELECT ${COLUMNS}
  FROM notifications n
  JOIN cases c ON c.id = n.case_ref
  WHERE n.case_ref = $1 AND (n.received_at, n.id) > ($2, $3)
  ORDER BY n.received_at, n.id
  LIMIT $4`;

/** Retention may have removed all deliveries of a case that still exists. */
export const CASE_EXISTS = `SELECT FROM cases WHERE id = $1`;
