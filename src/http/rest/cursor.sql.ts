/** By pk_instance_secrets. */
export const READ_KEY = `SELECT secret FROM instance_secrets WHERE name = 'cursor'`;
