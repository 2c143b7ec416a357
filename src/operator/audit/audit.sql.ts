const SELECT_REVEALS = `SELECT id, at, key_name, endpoint, request_id, numbers, bodies FROM reveals`;

/** Pages along pk_reveals: an id begins with its time. */
export const LIST_REVEALS = `
  ${SELECT_REVEALS}
  WHERE id < $1 AND id >= $2
  ORDER BY id DESC
  LIMIT $3`;

/** Pages along ix_reveals_key. The row comparison excludes other indexes, because a key may be used rarely. */
export const LIST_REVEALS_OF_KEY = `
  ${SELECT_REVEALS}
  WHERE (key_name, id) < ($4, $1) AND (key_name, id) >= ($4, $2)
  ORDER BY key_name DESC, id DESC
  LIMIT $3`;
