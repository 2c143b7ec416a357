import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Connection } from '../database/connection.js';
import { readIds, type Receipt } from './notification.js';
import type { Refusal } from './refusal.js';
import { QUARANTINE } from './statements.js';

/** Keeps refused bodies as they came, so that nothing a sender was told to be wrong is lost. */
@Injectable()
export class Quarantine {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * @returns the id under which the body is kept: an earlier receipt's, if the same bytes came before
   * @throws what PostgreSQL answered: then the body is not kept, and the sender must not be told that it was refused
   */
  async keep(receipt: Receipt, { reason, message, body, errors }: Refusal): Promise<string> {
    const { workflow_id, case_id, callee_number } = readIds(body);
    const digest = createHash('sha256').update(body).digest();
    const told = JSON.stringify(errors.length > 0 ? errors : [{ path: '', message }]);
    const values = [
      receipt.id,
      receipt.kind,
      reason,
      told,
      body,
      digest,
      receipt.receivedAt,
      workflow_id,
      case_id,
      callee_number,
    ];
    return Connection.use(this.dataSource, async (connection) => {
      const [row] = await connection.query<{ id: string }>(QUARANTINE, values);
      return (row as { id: string }).id;
    });
  }
}
