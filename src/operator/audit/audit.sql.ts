const SELECT = `SELECT id, at, key_name, endpoint, request_id, numbers, bodies FROM reveals`;

/** Pages along pk_reveals: an id begins with its time. Exported, as the next, for the test that looks at plans. */
export const LIST_REVEALS = `
  ${SELECT}
  WHERE id < $1 AND id >= $2
  ORDER BY id DESC
  LIMIT $3`;

/** Pages along ix_reveals_key, and by no other index could they come in this order: a key may be seldom used. */
export const LIST_REVEALS_OF_KEY = `
  ${SELECT}
  WHERE (key_name, id) < ($4, $1) AND (key_name, id) >= ($4, $2)
  ORDER BY key_name DESC, id DESC
  LIMIT $3`;
