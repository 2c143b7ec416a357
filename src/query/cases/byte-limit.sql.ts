/** An answer holds rows up to so many bytes of what can be long in them, and one more: one may be nearly as large as a body. */
export const MAX_CONTENT_BYTES = 8 * 2 ** 20;

/**
 * The first of some rows, as far as they fit into one answer; with the `bytes` of each, and how many there were as `found`.
 *
 * @param rows a statement
 * @param bytes of its columns, how much of an answer a row takes
 * @param order of its columns, by which they come
 */
export const limitByBytes = (rows: string, bytes: string, order: string): string => `
  SELECT * FROM (
    SELECT whole.*, count(*) OVER () AS found, sum(bytes) OVER (ORDER BY ${order}) AS bytes_so_far
    FROM (SELECT *, ${bytes} AS bytes FROM (${rows}) AS given) AS whole) AS sized
  WHERE bytes_so_far - bytes <= ${MAX_CONTENT_BYTES}`;
